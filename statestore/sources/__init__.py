"""Sources: the stores of other agent frameworks, read without changing them and mirrored into a store of our own."""
