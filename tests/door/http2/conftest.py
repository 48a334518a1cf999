"""Nothing of the gateway is needed here: no database, no services."""
