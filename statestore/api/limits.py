"""How large a request may be, and how long responses are kept for repeated calls."""

from typing import Final

# Bodies are read in pieces; from SPOOLED_BYTES on they go to the disk.
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
SPOOLED_BYTES: Final = 8 * 1024 * 1024
CHUNK_BYTES: Final = 64 * 1024
MAX_STATE_BYTES: Final = 50 * 1024 * 1024
# A state is one level below the body.
ENVELOPE_LEVELS: Final = 1
QUERY_CHARACTERS: Final = 2_000
KEY_CHARACTERS: Final = 255
# A response is repeated for a day.
KEPT_SECONDS: Final = 24 * 3600
# A call of several transactions that was killed can be repeated after this long.
BUSY_SECONDS: Final = 60
# Each call deletes at most this many old responses.
SWEPT_ROWS: Final = 100
