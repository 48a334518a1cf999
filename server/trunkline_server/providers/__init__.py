"""The outside world: one declaration per provider, and the one HTTP client that speaks to all of them."""
