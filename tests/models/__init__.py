"""The models' own rules."""
