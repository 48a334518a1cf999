"""Streams for pages and small programs: server-sent events, and a WebSocket that holds many calls."""
