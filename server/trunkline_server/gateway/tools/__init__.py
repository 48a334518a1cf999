"""Tools that the gateway runs: what they are, how one is run, and the loop in which a model calls them."""
