"""One file per proto service: checks the request, speaks to gateway or store, shapes the reply."""
