"""Stores of vectors that other servers are."""
