"""MCP servers as we reach them: over streamable HTTP, or as a program of the operator's."""
