"""The dashboard in a browser, as a person has it: the production server on a file that the stand-in made."""
