"""Static files below the path prefix of the request that names them."""

from django.contrib.staticfiles.storage import StaticFilesStorage
from whitenoise.storage import CompressedManifestStaticFilesStorage

from statestore.access import path_prefix


class _BelowPrefix:
    def url(self, *arguments: object, **keywords: object) -> str:
        """Return a file's address. Django's setting for it is read once, but each request may have its own prefix."""
        return f"{path_prefix.current()}{super().url(*arguments, **keywords)}"  # type: ignore[misc]


class PlainFiles(_BelowPrefix, StaticFilesStorage):
    """Files under their own names, while the dashboard is worked on."""


class HashedFiles(_BelowPrefix, CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Compressed files whose names tell their version."""
