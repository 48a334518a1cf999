"""Collections as such: texts in chunks, facts to filter by, vectors and where they are, lists put together."""
