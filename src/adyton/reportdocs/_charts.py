"""Charts of a report's tables as SVG, without scripts; colours are those of the page."""

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from adyton.errors import ConfigurationError
from adyton.reportvalues import Cell, Table

if TYPE_CHECKING:
    from types import ModuleType

BARS: Final = 12
"""Rows that are drawn as lying bars, the largest first."""
_LABEL_CHARS: Final = 36
_WIDTH: Final = 900
_COLUMNS_HEIGHT: Final = 230
_BAR_HEIGHT: Final = 26
_X_LABELS: Final = 12
_BY_KEY: Final = {"failed": "var(--warn)", "denied": "var(--bad)"}
_COLOURS: Final = ("var(--one)", "var(--two)", "var(--three)")


def _pygal() -> "ModuleType":
    try:
        import pygal  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigurationError(
            "pages with charts need the library pygal, which is not installed",
            hint="Install the extra: pip install 'adyton[reports]'.",
        ) from None
    # It leaves a finder for maps behind that each later import of anything would stumble over.
    sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != "pygal"]
    return pygal  # type: ignore[no-any-return]


def clean(text: str) -> str:
    """Text without characters that say something to a parser."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def draw(table: Table, number: int) -> str:
    """The chart of a table as one ``svg`` element; empty where there is nothing to draw.

    Args:
        table: The table.
        number: Tells this chart from others on the page.

    Raises:
        ConfigurationError: The library is not installed.
    """
    pygal = _pygal()
    keys = [column.key for column in table.columns]
    drawn = [keys.index(key) for key in table.series]
    rows = table.rows if table.chart == "columns" else table.rows[:BARS]
    if not table.chart or not any(_value(row[at]) for row in rows for at in drawn):
        return ""
    stand = table.chart == "columns"
    if not stand:
        rows = rows[::-1]  # lying bars are drawn from below
    kind = pygal.StackedBar if stand else pygal.HorizontalStackedBar
    chart = kind(**_options(pygal, table, drawn, len(rows), stand=stand))
    chart.uuid = f"n{number}"
    chart.x_labels = [_label(row[0]) for row in rows]
    if stand and len(rows) > _X_LABELS:
        chart.x_labels_major_every = -(-len(rows) // _X_LABELS)
        chart.show_minor_x_labels = False
    for at in drawn:
        chart.add(clean(table.columns[at].title), [_value(row[at]) for row in rows])
    chart.add_xml_filter(_without_scripts)
    text: str = chart.render(is_unicode=True)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def _options(
    pygal: "ModuleType", table: Table, drawn: list[int], rows: int, *, stand: bool
) -> dict[str, Any]:
    colours = [
        _BY_KEY.get(table.columns[at].key, _COLOURS[number % len(_COLOURS)])
        for number, at in enumerate(drawn)
    ]
    style = pygal.style.Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--ink)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        colors=tuple(colours),
        font_family="inherit",
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=13,
        no_data_font_size=13,
        opacity="1",
        opacity_hover="1",
        transition="0s",
    )
    return {
        "style": style,
        "js": (),
        "width": _WIDTH,
        "height": _COLUMNS_HEIGHT if stand else (84 if len(drawn) > 1 else 56) + _BAR_HEIGHT * rows,
        "disable_xml_declaration": True,
        "show_legend": len(drawn) > 1,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": 3,
        "legend_box_size": 12,
        "margin": 8,
        "spacing": 6,
        "truncate_label": _LABEL_CHARS,
        "show_y_guides": stand,
        "show_x_guides": not stand,
        "x_label_rotation": 0,
        "min_scale": 2,
        "max_scale": 6,
        "formatter": lambda value: f"{value:,.10g}",
        "value_formatter": lambda value: f"{value:,.10g}",
    }


def _without_scripts(root: Any) -> Any:  # noqa: ANN401 - an element of the library's choice
    """The chart without what the library would run on the page, also where no scripts are set."""
    for parent in root.iter():
        for child in [each for each in parent if str(each.tag).endswith("script")]:
            parent.remove(child)
    return root


def _value(cell: Cell) -> float:
    return cell if isinstance(cell, int | float) and not isinstance(cell, bool) else 0


def _label(cell: Cell) -> str:
    text = clean(str(cell))
    # A time: its day, or the hour where it is one of a short range.
    found = re.fullmatch(r"\d{4}-(\d\d-\d\d)T(\d\d:\d\d):\d\dZ", text)
    if found is None:
        return text
    return found[1] if found[2] == "00:00" else found[2]
