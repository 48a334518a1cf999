"""How much callers may use: definitions in memory, counters here or in Redis, one decision for each call."""
