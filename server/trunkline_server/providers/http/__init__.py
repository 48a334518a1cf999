"""HTTP/1.1 as a client: one protocol per socket, kept connections, one write out and one wake-up per read."""
