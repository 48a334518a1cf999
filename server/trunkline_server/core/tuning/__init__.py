"""What a model is trained on: examples, what is wrong with them, how much there is to train."""
