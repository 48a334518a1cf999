"""One AI call through the house rules: admit, attempt, settle."""
