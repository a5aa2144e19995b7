"""The start of a process: what a variable, a right, a file or a database refuses is said in a line, not a traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STOPPED = 130  # What a shell reports of a program that Ctrl-C ended.


@contextmanager
def refusals_in_words() -> Iterator[None]:
    """Run a block, and end the process with status 1 and the reason on standard error if something is refused."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db.utils import DatabaseError

    try:
        yield
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except DatabaseError as error:
        sys.exit(_database_fault(error))
    except BrokenPipeError:  # The reader of our output went away, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(_in_words(error))
    except KeyboardInterrupt:
        sys.exit(_STOPPED)


def verify() -> None:
    """Refuse settings that the checks of a command would refuse; a server runs none. Raises ImproperlyConfigured."""
    import django
    from django.core import checks
    from django.core.exceptions import ImproperlyConfigured

    django.setup(set_prefix=False)
    found = [message for message in checks.run_checks(tags=[checks.Tags.security]) if message.is_serious()]
    if found:
        raise ImproperlyConfigured("\n".join(f"{each.msg} {each.hint or ''}".strip() for each in found))


def send_telemetry() -> None:
    """Send traces and metrics from this process, if a collector is named. Raises ImproperlyConfigured."""
    from django.conf import settings

    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from statestore import telemetry

        telemetry.start()


def _in_words(error: Exception) -> str:
    from statestore.management.terminal import in_words

    return in_words(error)


def _database_fault(error: Exception) -> str:
    from django.conf import settings

    from statestore.db.errors import translate

    alias = getattr(error, "alias", None)
    name = str(settings.DATABASES[alias]["NAME"]) if alias in settings.DATABASES else ""
    words = _in_words(translate(error))  # type: ignore[arg-type]
    return words if name in words else f"{words} ({name})"
