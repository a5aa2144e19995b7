"""The HTML face: one file for each noun."""
