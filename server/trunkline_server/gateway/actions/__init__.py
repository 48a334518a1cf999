"""Executing actions: who is asked, how, and what comes of it."""
