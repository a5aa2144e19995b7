"""What is checked when a process starts: configuration that would fail later, in words."""

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from statestore.api import throttling

SHORTEST_KEY = 32


@register(Tags.security)
def check_configuration(**_: object) -> list[CheckMessage]:
    """Return what is wrong with the environment's variables."""
    errors: list[CheckMessage] = []
    if len(settings.SECRET_KEY) < SHORTEST_KEY:
        errors.append(
            Error(
                f"SECRET_KEY has fewer than {SHORTEST_KEY} characters.",
                hint="Leave it out: the first run makes one and keeps it in var/secret_key.",
                id="statestore.E001",
            )
        )
    if settings.COMMIT_URL and "{commit}" not in settings.COMMIT_URL:
        errors.append(
            Error(
                "COMMIT_URL has no place for the commit.",
                hint="Write {commit} where it goes: https://git.example.org/repo/commit/{commit}",
                id="statestore.E002",
            )
        )
    if settings.COMMIT_URL and not settings.COMMIT_URL.startswith(("https://", "http://")):
        errors.append(Error("COMMIT_URL is not a web address.", id="statestore.E003"))
    if settings.SILENT_AFTER_SECONDS <= 0:
        errors.append(Error("SILENT_AFTER_SECONDS must be more than 0.", id="statestore.E004"))
    try:
        throttling.parsed(settings.API_RATE)
    except ImproperlyConfigured as error:
        errors.append(Error(str(error), id="statestore.E005"))
    return errors
