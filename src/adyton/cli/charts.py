"""Small charts for terminals: bars beside rows, and columns of one line's height."""

import sys
from collections.abc import Sequence
from typing import Final

from rich.text import Text

BAR_CELLS: Final = 24
NARROW_CELLS: Final = 12
"""A bar's full length in a narrow window: a table breaks no word that is as short."""
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_LEVELS: Final = " ▁▂▃▄▅▆▇█"
_PLAIN_LEVELS: Final = " .:-=+*#@"
_STYLES: Final = ("cyan", "yellow", "red")


def _unicode() -> bool:
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower()
    return encoding.replace("-", "").startswith("utf")


def bar(values: Sequence[float], largest: float, cells: int = BAR_CELLS) -> Text:
    """Values one behind the other in a bar, whose full length in cells is the largest sum's."""
    text = Text()
    scale = cells / largest if largest > 0 else 0.0
    begin = 0.0
    for number, value in enumerate(values):
        end = begin + value * scale
        style = _STYLES[number % len(_STYLES)]
        if _unicode() and number == len(values) - 1 and value > 0:
            whole, rest = divmod(round((end - round(begin)) * 8), 8)
            text.append("█" * max(whole, 0) + _EIGHTHS[rest].strip(), style)
        else:
            text.append(("█" if _unicode() else "#") * (round(end) - round(begin)), style)
        begin = end
    return text


def spark(values: Sequence[float], width: int) -> str:
    """Values as columns; where there are more than fit, neighbours are added up."""
    if not values:
        return ""
    step = -(-len(values) // max(width, 1))
    sums = [sum(values[at : at + step]) for at in range(0, len(values), step)]
    levels = _LEVELS if _unicode() else _PLAIN_LEVELS
    largest = max(sums)
    if largest <= 0:
        return levels[0] * len(sums)
    # What is not zero is seen, however small it is beside the largest.
    return "".join(
        levels[0 if value <= 0 else max(1, round(value / largest * 8))] for value in sums
    )
