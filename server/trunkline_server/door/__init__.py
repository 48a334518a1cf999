"""Entering and leaving: who calls, how long it may take, and how an error is told. The only room that knows gRPC."""
