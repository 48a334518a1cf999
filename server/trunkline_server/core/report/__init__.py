"""Reports as documents to keep; pure."""
