"""What tenants and calls keep out of questions and answers, on the way of every call."""
