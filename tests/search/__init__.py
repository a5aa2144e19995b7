"""Search answers exactly as LIKE does, at any moment."""
