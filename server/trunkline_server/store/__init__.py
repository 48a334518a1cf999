"""Everything remembered: PostgreSQL, its embedded server, and one noun per file with its SQL beside it."""
