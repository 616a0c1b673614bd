"""Run the benchmarks, print a table, write JSON."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import bulk, reads
from benchmarks.harness import Figure, save, show

RESULTS = Path(__file__).parent / "results" / "latest.json"


def main(
    quick: Annotated[bool, typer.Option(help="A tenth of the sizes, to try it.")] = False,
    out: Annotated[Path, typer.Option(help="Where the JSON goes.")] = RESULTS,
) -> None:
    """Measure the embedded store; medians, each beside its floor of the same run."""
    scale = 10 if quick else 1
    rounds = 5 if quick else 21
    console = Console(stderr=True)
    figures: list[Figure] = []
    parts: list[tuple[str, Callable[[], list[Figure]]]] = [
        ("hot path", lambda: reads.hot_path(rounds)),
        ("32 callers", lambda: reads.durable(rounds)),
        ("listing", bulk.listing),
        ("import", lambda: bulk.bulk_import(50_000 // scale)),
        ("re-wrap", lambda: bulk.rewrap(100_000 // scale)),
        ("verify", lambda: bulk.verify(500_000 // scale)),
        ("a million", lambda: bulk.million(1_000_000 // scale, rounds)),
    ]
    for title, run in parts:
        with console.status(title):
            figures += run()
        console.print(f"done: {title}")
    show(figures)
    save(figures, out)
    console.print(f"written: {out}")


if __name__ == "__main__":
    typer.run(main)
