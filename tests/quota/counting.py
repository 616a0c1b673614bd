"""Counting what a user stores by other means than the store does."""

COUNTED = """
SELECT sum(s), sum(v), sum(o), sum(b) FROM (
  SELECT user, 1 AS s, 1 AS v, 0 AS o, ifnull(length(value), 0) AS b FROM secrets
  UNION ALL SELECT user, 0, 1, 0, length(value) FROM versions
  UNION ALL SELECT user, 0, 0, 1, length(box) FROM objects
) WHERE user = ?
"""


def assert_exact(place, store):
    """What is kept is what a count of the rows gives, for every user that is kept count of."""
    writer = store._opened.core.storage._writer.connection
    kept = writer.execute("SELECT * FROM temp.usage").fetchall()
    assert kept
    for user, *usage in kept:
        counted = place.sql((COUNTED, (user,)))[0]
        assert tuple(usage) == tuple(number or 0 for number in counted)
