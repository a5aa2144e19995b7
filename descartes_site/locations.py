"""Where the site's files are, in a checkout and where the package is installed."""

import os
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).resolve().parent
IS_CHECKOUT: Final = (PACKAGE.parent / "manage.py").is_file()
# The folder of `templates` and `static`; a wheel has them inside of this package.
FILES: Final = PACKAGE.parent if IS_CHECKOUT else PACKAGE
# What users type before the name of a command.
COMMAND: Final = "manage.py" if IS_CHECKOUT else "descartes-statestore"
# The same for a line to copy, run in the checkout.
COMMAND_LINE: Final = ".venv/bin/python manage.py" if IS_CHECKOUT else COMMAND


def base() -> Path:
    """Return what relative paths of the environment begin at: the checkout, or where a command is run."""
    return PACKAGE.parent if IS_CHECKOUT else Path.cwd()


def data() -> Path:
    """Return where databases, index, key and backups lie unless VAR_DIR says otherwise."""
    if IS_CHECKOUT:
        return PACKAGE.parent / "var"
    home = os.environ.get("XDG_DATA_HOME", "")
    # The specification tells programs to ignore a relative one.
    parent = Path(home) if os.path.isabs(home) else Path.home() / ".local" / "share"
    return parent / "descartes-statestore"
