"""Answers that were given before: kept per tenant, in memory and in Redis, and told again."""
