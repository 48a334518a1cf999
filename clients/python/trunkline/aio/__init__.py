"""The asynchronous client. `trunkline.sync` is made from it by `make gen`, word for word without the waiting."""
