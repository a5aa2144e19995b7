"""The command line: `manage.py` in a checkout, `descartes-statestore` where the package is installed."""

import os
import sys


def main() -> None:
    """Run a management command: `help` lists them."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "descartes_site.settings")
    try:
        from django.conf import settings
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed for this Python. Run `make venv`, then `.venv/bin/python manage.py …`.")
    from descartes_site.start import refusals_in_words

    if "--traceback" in sys.argv:
        execute_from_command_line(sys.argv)
        return
    with refusals_in_words():
        _ = settings.INSTALLED_APPS  # Django would take a command for unknown if they cannot be read.
        execute_from_command_line(sys.argv)
