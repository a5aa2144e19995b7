"""Texts as people read them: names in the order of their numbers, and characters that would deceive made visible."""
