"""Calls that lean on what the gateway keeps: prompts, assistants, conversations. Calls that do not pay nothing for it."""
