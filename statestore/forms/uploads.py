"""What becomes of a file that is sent to a form: no form takes files, so it is refused before it is read."""

from collections.abc import Mapping
from typing import NoReturn

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler


class FileRefused(BadRequest):
    """A form was sent a file."""


class RefuseFiles(FileUploadHandler):
    """Django's upload handler that takes no file; its own would write files of any size to the disk."""

    def handle_raw_input(
        self,
        input_data: object,
        META: Mapping[str, object],  # noqa: N803 (Django passes it by this name)
        content_length: int,
        boundary: object,
        encoding: str | None = None,
    ) -> None:
        """Refuse a form whose length alone is too large; Django counts the fields only while it reads them."""
        if content_length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig("The form is too large.")

    def new_file(self, *arguments: object, **keywords: object) -> NoReturn:
        """Refuse the file at its header."""
        raise FileRefused("No form takes files.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Pass the data on; not called, since the header was refused."""
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Return no file."""
