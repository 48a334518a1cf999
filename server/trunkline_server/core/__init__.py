"""What things are: errors, calls, answers, prices, money. Pure: no I/O, no event loop."""
