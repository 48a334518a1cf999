"""Collections at work: documents embedded and kept, searched by meaning and by words, put before a chat call."""
