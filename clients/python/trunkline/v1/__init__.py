"""The generated messages and stubs of `trunkline.v1`."""
