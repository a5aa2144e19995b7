"""Log lines that agents cannot forge."""

import logging


class OneLineFormatter(logging.Formatter):
    """Formats a record so that control characters in what was logged cannot start a new line or colour a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the base class's name)
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in super().formatMessage(record))
