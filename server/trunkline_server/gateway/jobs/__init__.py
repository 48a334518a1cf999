"""What calls are when nobody waits for them: kinds of jobs, orders for them, and long work at providers."""
