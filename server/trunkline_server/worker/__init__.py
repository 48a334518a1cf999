"""Work with nobody waiting."""
