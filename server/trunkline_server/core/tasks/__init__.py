"""Tasks: what each asks of a model, and what is made of the answers."""
