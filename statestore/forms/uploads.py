"""What becomes of a file that is sent to a form: one form takes one, and any other is refused before it is read."""

from collections.abc import Mapping
from typing import IO, Any, Final

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.http import HttpRequest

from statestore.access import rights
from statestore.errors import ValidationError
from statestore.sources import quarantine

# The one address that takes a file, and what its sender must be allowed to do.
TAKES_FILES: Final = "upload-source"
CODENAME: Final = "import_store"
# Besides the file, a form has its token alone.
_FIELDS_BYTES: Final = 64 * 1024


class FileRefused(BadRequest):
    """A form that takes no file was sent one."""


class FileTooLarge(RequestDataTooBig):
    """A file is larger than uploads may be, which its length tells before it is read."""


class FilesOfSources(FileUploadHandler):
    """Django's upload handler that takes the file of an upload, into a file that has no name, and no other.

    It is asked before the token of the form is checked: what it takes is gone with the request. `request.upload_fault`
    is why a file was not taken.
    """

    request: HttpRequest

    def handle_raw_input(
        self,
        input_data: object,
        META: Mapping[str, object],  # noqa: N803 (Django passes it by this name)
        content_length: int,
        boundary: object,
        encoding: str | None = None,
    ) -> None:
        """Refuse a form whose length alone is too large; Django counts the fields only while it reads them."""
        self.left = quarantine.limit_bytes()
        most = self.left + _FIELDS_BYTES if self._is_taken() else 0
        if most and self.left and content_length > most:
            raise FileTooLarge(str(quarantine.too_large()))
        if content_length > max(settings.DATA_UPLOAD_MAX_MEMORY_SIZE, most):
            raise RequestDataTooBig("The form is too large.")

    def _is_taken(self) -> bool:
        match = self.request.resolver_match
        return match is not None and match.url_name == TAKES_FILES and rights.may(self.request.user, CODENAME)

    def new_file(self, *arguments: Any, **keywords: Any) -> None:
        """Refuse the file at its header, unless it is the one that its form takes."""
        super().new_file(*arguments, **keywords)
        if not self._is_taken():
            raise FileRefused("No other form takes files.")
        if not self.left:
            raise SkipFile
        try:
            self.file: IO[bytes] = quarantine.nameless_file()
        except OSError as error:
            self._give_up(ValidationError(f"The file cannot be kept: {error.strerror}. Nothing was kept."))

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Keep a part of the file, until it is too large or the disk is full."""
        if start + len(raw_data) > self.left:
            self._give_up(quarantine.too_large())
        try:
            self.file.write(raw_data)
        except OSError as error:
            self._give_up(ValidationError(f"The file cannot be kept: {error.strerror}. Nothing was kept."))

    def _give_up(self, fault: ValidationError) -> None:
        self.request.upload_fault = fault  # type: ignore[attr-defined]
        # The rest is read, so that the browser sees the answer.
        raise StopUpload(connection_reset=False)

    def file_complete(self, file_size: int) -> "UploadedFile[Any]":
        """Return the file, which is gone with the request."""
        self.file.seek(0)
        return UploadedFile(self.file, self.file_name, self.content_type, file_size, self.charset)
