#!/usr/bin/env python
"""Run a management command: `python manage.py help` lists them."""

from descartes_site.command import main

if __name__ == "__main__":
    main()
