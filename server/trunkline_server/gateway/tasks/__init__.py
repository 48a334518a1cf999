"""Doing tasks: their prompts, their calls to models, and the bill of all of them."""
