"""Calls that lean on what the gateway keeps: prompts, assistants, conversations. Others pay nothing for it."""
