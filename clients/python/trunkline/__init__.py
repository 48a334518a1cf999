"""Trunkline: one gRPC gateway to every AI provider. The messages and stubs live in `trunkline.v1`."""
