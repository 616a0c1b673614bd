"""How a table comes into a window: nothing is cut off, and short words stay whole.

Rich clips a table whose least widths do not fit, and breaks words at any place. Here columns in
which nothing is said go first; then the widest gives way, between words at first, then by breaking
long words (names, addresses). Where an id, which is copied, or a short word such as the date of a
time would be next, there is no table: each row becomes a block of lines.
"""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len

GAP: Final = 2
"""Cells between two columns of a table."""
SHORT: Final = 12
"""Cells of the longest words that are never broken in a table: a date has 10, a time 8."""
_MIDDLING: Final = 16
"""Cells of those that are broken last."""
_ANY: Final = 1 << 30
_NOTHING: Final = frozenset({"", "-"})


def spoken(columns: Sequence[Sequence[str]], window: int) -> list[int]:
    """The columns to show: those that say something, where there is no room for all.

    Args:
        columns: The texts in each, its heading first.
        window: Its width, in cells.
    """
    every = list(range(len(columns)))
    if fits([max(map(cell_len, texts)) for texts in columns], window):
        return every
    return [at for at in every if not _NOTHING.issuperset(columns[at][1:])] or every


def widths(
    columns: Sequence[Sequence[str]], whole: Sequence[bool], window: int
) -> list[int] | None:
    """How wide columns are in a window, or None where a table would be hard to read.

    Args:
        columns: The texts in each, its heading first.
        whole: Whether words in a column are never broken.
        window: Its width, in cells.
    """
    for longest in (_ANY, _MIDDLING, SHORT):
        least = [
            _longest(texts, _ANY if keeps else longest)
            for texts, keeps in zip(columns, whole, strict=True)
        ]
        if fits(least, window):
            break
    else:
        return None
    made = [max(map(cell_len, texts)) for texts in columns]
    while not fits(made, window):
        able = [at for at, width in enumerate(made) if width > least[at]]
        made[max(able, key=made.__getitem__)] -= 1
    return made


def fits(made: Sequence[int], window: int) -> bool:
    """Whether columns of these widths stand beside each other in a window."""
    return sum(made) + GAP * (len(made) - 1) <= window


def _longest(texts: Sequence[str], most: int) -> int:
    """Cells of the longest word that is to stay whole; the heading always is."""
    words = [cell_len(word) for text in texts for word in text.split()]
    return max([cell_len(texts[0]), 1, *(each for each in words if each <= most)])
