"""Counts that walk an index from one distinct value to the next, instead of reading every row."""

from django.db import connections, models

from statestore.db.errors import translated_errors
from statestore.db.vendor import is_sqlite

# A common table expression names its columns in its body: Citus loses names that stand in the head alone.
MAX_EVENT_TYPES = 200
# Walks an index from one distinct value to the next instead of reading every row.
_NEXT_PREFIX = """
WITH RECURSIVE step AS (
    SELECT 0 AS n, (SELECT key FROM agent_states WHERE key LIKE '%%:%%' ORDER BY key LIMIT 1) AS key
    UNION ALL
    SELECT step.n + 1 AS n, (
        SELECT a.key FROM agent_states a WHERE a.key >= {after} AND a.key LIKE '%%:%%' ORDER BY a.key LIMIT 1
    ) AS key
    FROM step WHERE step.key IS NOT NULL AND n < %s
)
SELECT key FROM step WHERE key IS NOT NULL
"""


def key_prefixes(using: str, limit: int) -> list[str]:
    """Return the distinct beginnings of agents' keys up to the colon, at most `limit` of them."""
    connection = connections[using]
    # ";" is the character after ":": the least key that begins with something else.
    after = "substr(step.key, 1, instr(step.key, ':') - 1)" if is_sqlite(connection) else "split_part(step.key, ':', 1)"
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_PREFIX.format(after=f"{after} || ';'"), [limit])
        return [str(key).partition(":")[0] for (key,) in cursor.fetchall()]


# No index has the time of events alone; (event_type, timestamp) has it for each type, and types are few.
_EVENT_COUNTS = """
WITH RECURSIVE step AS (
    SELECT 0 AS n, (SELECT min(event_type) FROM events) AS kind
    UNION ALL
    SELECT step.n + 1 AS n, (SELECT min(event_type) FROM events WHERE event_type > step.kind) AS kind
    FROM step WHERE kind IS NOT NULL AND n < %s
)
SELECT step.kind, (events.timestamp - %s) / %s AS bucket, count(*)
FROM step JOIN events ON events.event_type = step.kind AND events.timestamp >= %s AND events.timestamp < %s
GROUP BY 1, 2
"""


def event_counts(using: str, start: int, end: int, bucket_seconds: int) -> dict[tuple[str, int], int]:
    """Return how many events there were of each of up to 200 types, in each bucket of time from `start` to `end`."""
    with connections[using].cursor() as cursor:
        cursor.execute(_EVENT_COUNTS, [MAX_EVENT_TYPES, start, bucket_seconds, start, end])
        return {(str(kind), int(bucket)): int(count) for kind, bucket, count in cursor.fetchall()}


# In 64 bits: PostgreSQL would add times beyond 2038 in 32. Each column costs one step through the index and `most`
# more; a past of 100,000 rows costs what one of 1,000 does.
_BOUNDED_COUNTS = """
WITH RECURSIVE step AS (
    SELECT CAST(0 AS BIGINT) AS n UNION ALL SELECT step.n + 1 AS n FROM step WHERE step.n + 1 < %s
)
SELECT n, (
    SELECT count(*) FROM (
        SELECT 1 FROM ({rows}) AS times WHERE instant >= %s + n * %s AND instant < %s + (n + 1) * %s LIMIT %s
    ) AS few
) FROM step
"""


def bounded_counts(
    rows: models.QuerySet[models.Model], column: str, *, start: int, width_seconds: int, columns: int, most: int
) -> dict[int, int]:
    """Return how many rows, up to `most`, there are in each of some equal stretches of time, those without left out."""
    if rows.query.is_empty():
        return {}
    inner, parameters = rows.order_by().values(instant=models.F(column)).query.get_compiler(rows.db).as_sql()
    times = [start, width_seconds, start, width_seconds]
    with translated_errors(), connections[rows.db].cursor() as cursor:
        cursor.execute(_BOUNDED_COUNTS.format(rows=inner), [columns, *parameters, *times, most])
        return {int(n): int(count) for n, count in cursor.fetchall() if count}
