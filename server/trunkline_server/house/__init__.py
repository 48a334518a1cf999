"""Puts the rooms of the house together. It sees everything; nobody but `app` sees it."""
