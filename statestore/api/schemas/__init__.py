"""What goes in and out, as the documentation shows it. What goes in is checked by these; unknown fields are refused."""
