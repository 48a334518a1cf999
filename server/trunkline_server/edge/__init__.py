"""The HTTP door: the same calls as over gRPC, spelled as Connect, gRPC-Web, JSON, or as other APIs spell them."""
