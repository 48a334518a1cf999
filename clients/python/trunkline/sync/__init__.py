"""The synchronous client, made from `trunkline.aio` by `make gen`. Do not edit."""
