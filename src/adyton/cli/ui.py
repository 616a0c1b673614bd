"""Everything that is shown, and everything that is asked.

Rules:

- Results go to standard output; whatever explains, warns, asks or shows progress goes to standard
  error, so that a pipe gets results alone.
- Colours, and boxes that fit the window, only on a terminal; never with NO_COLOR.
- A secret is written only where the command was asked for it, and never to standard error.
- With ``--output json`` standard output is one JSON document, ``{}`` where there is nothing to
  tell; errors are JSON on standard error.
- Messages begin in lower case and have no full stop; an error is followed by the next step.
"""

import datetime as dt
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from adyton.cli import fitting, plain
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import AdytonError, AttestationError, InvalidInput
from adyton.values import Progress as Step

_WIDE: Final = 4_000
_PROGRESS_AFTER: Final = 1.0
_WHOLE: Final = frozenset({"ACCESSOR", "HOLD", "ID", "KIND", "LEASE", "SUBJECT", "WHICH"})
"""Headings of columns of what is copied from there or sought by, and not broken: ids, above all."""


class Ui:
    """One command's input and output.

    Args:
        json: Whether standard output is a JSON document.
        color: False switches colours off everywhere.
    """

    def __init__(self, *, json: bool = False, color: bool = True) -> None:
        self.json = json
        self._answered = False
        options: dict[str, Any] = {"highlight": False, "no_color": True if not color else None}
        out_width = None if self.terminal else _WIDE
        self._out = Console(width=out_width, soft_wrap=not self.terminal, **options)
        self._err = Console(stderr=True, soft_wrap=True, **options)

    # -- results --------------------------------------------------------------------------------

    def document(self, value: object) -> None:
        """Write a JSON document to standard output."""
        self._answered = True
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        sys.stdout.write(plain.json(text) + "\n")

    def text(self, text: str) -> None:
        """Write a text of several lines to standard output; as it is, save on a terminal."""
        shown = plain.lines(text) if sys.stdout.isatty() else text
        sys.stdout.write(shown if shown.endswith("\n") else shown + "\n")

    def event(self, value: object) -> None:
        """Write a JSON document on one line, at once: the command goes on."""
        self._answered = True
        sys.stdout.write(plain.json(msgspec.json.encode(value).decode()) + "\n")
        sys.stdout.flush()

    def finish(self) -> None:
        """End a command that was done: whoever waits for a document gets one, if an empty one."""
        if self.json and not self._answered:
            self.document({})

    @property
    def terminal(self) -> bool:
        """Whether results are shown to a person, in a window that may be narrow."""
        return sys.stdout.isatty()

    @property
    def window(self) -> int:
        """How many cells of results stand in a line."""
        return self._out.width

    def table(
        self,
        headings: Sequence[str],
        rows: Sequence[Sequence[str | Text]],
        empty: str,
    ) -> None:
        """Write a table, or where there is nothing in it the next step.

        In a window without room for it, each row is a block of lines (``fitting``).

        Args:
            headings: Of its columns.
            rows: Their cells.
            empty: The next step.
        """
        if not rows:
            self.note(empty)
            return
        if not self.terminal:
            self._columns(headings, rows, [None] * len(headings))
            return
        columns = [
            (heading, *(plain.line(str(row[at])) for row in rows))
            for at, heading in enumerate(headings)
        ]
        shown = fitting.spoken(columns, self.window)
        headings = [headings[at] for at in shown]
        rows = [[row[at] for at in shown] for row in rows]
        whole = [heading in _WHOLE for heading in headings]
        widths = fitting.widths([columns[at] for at in shown], whole, self.window)
        if widths is None:
            self._blocks(headings, rows)
        else:
            self._columns(headings, rows, widths)

    def _columns(
        self,
        headings: Sequence[str],
        rows: Sequence[Sequence[str | Text]],
        widths: Sequence[int | None],
    ) -> None:
        terminal = self.terminal
        table = Table(box=None, pad_edge=False, header_style="bold" if terminal else None)
        for heading, width in zip(headings, widths, strict=True):
            table.add_column(heading, overflow="fold", no_wrap=not terminal, width=width)
        for row in rows:
            table.add_row(*(_cell(cell) for cell in row))
        self._out.print(table)

    def _blocks(self, headings: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
        """Each row as lines of its own, an empty one between two; what is empty is left out."""
        for number, row in enumerate(rows):
            if number:
                self._out.print()
            block = Table(box=None, pad_edge=False, show_header=False)
            block.add_column(no_wrap=True, style="bold")
            block.add_column(overflow="fold")
            for heading, cell in zip(headings, row, strict=True):
                if str(cell):
                    block.add_row(heading, _cell(cell))
            self._out.print(block)

    def line(self, text: str, style: str = "") -> None:
        """Write one line to standard output, not broken, however long: it may be copied."""
        self._out.print(Text(plain.line(text), style=style), soft_wrap=True)

    def card(self, title: str, facts: Sequence[tuple[str, str]], note: str) -> None:
        """Write facts with a title and a remark; lines to be copied are not broken."""
        width = max(len(name) for name, _ in facts)
        text = Text()
        for name, value in facts:
            for number, line in enumerate(value.splitlines()):
                text.append(f"  {'' if number else name:{width}}  ", style="dim")
                text.append(f"{line}\n", style="bold" if not number else "")
        text.append(f"\n{note}\n", style="yellow")
        text.plain = plain.lines(text.plain)
        if self.terminal:
            self._out.rule(Text(plain.line(title), style="bold"), align="left")
        else:
            self._out.print(Text(f"{plain.line(title)}\n"))
        self._out.print(text, soft_wrap=True)

    def command(self, text: str) -> None:
        """Write a command to be copied: on one line, however long."""
        self._out.print(Text(f"  {plain.line(text)}", style="cyan"), soft_wrap=True)

    def raw(self, data: "bytes | memoryview") -> None:
        """Write bytes to standard output as they are; on a terminal, end the line."""
        self._answered = True
        sys.stdout.flush()
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]
        if self.terminal:
            os.write(1, b"\n")

    # -- what explains --------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Explain something on standard error."""
        if not self.json:
            self._err.print(Text(plain.lines(text), style="dim"))

    def done(self, text: str) -> None:
        """Say on standard error that something was done."""
        if not self.json:
            self._err.print(Text.assemble(("ok ", "green"), plain.lines(text)))

    def warn(self, text: str) -> None:
        """Warn on standard error."""
        self._err.print(Text.assemble(("warning: ", "bold yellow"), plain.lines(text)))

    def error(self, error: AdytonError, code: int) -> None:
        """Tell an error and the next step."""
        if self.json:
            body = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
            if isinstance(error, AttestationError):
                body["rule"] = error.rule
            text = msgspec.json.encode({**body, "exit_code": code}).decode()
            sys.stderr.write(plain.json(text) + "\n")
            return
        self._err.print(Text.assemble(("error: ", "bold red"), plain.lines(error.message)))
        if error.hint:
            self._err.print(Text(f"  {plain.lines(error.hint)}", style="dim"))

    # -- asking ---------------------------------------------------------------------------------

    def ask_secret(self, prompt: str) -> SecretBytes:
        """Ask for a secret on the terminal, without echo.

        Raises:
            InvalidInput: There is no terminal to ask on.
        """
        import getpass  # noqa: PLC0415 - loaded on use

        if not sys.stdin.isatty():
            raise InvalidInput(
                "a secret is wanted, and there is no terminal to ask on",
                hint="Give it on standard input or by --file; a passphrase by file= or env=.",
            )
        typed = getpass.getpass(f"{prompt.rstrip(': ')}: ", stream=sys.stderr)
        return SecretBytes(typed.encode())

    def ask_secret_twice(self, prompt: str) -> SecretBytes:
        """Ask for a new secret, twice.

        Raises:
            InvalidInput: There is no terminal, or the two are not the same.
        """
        first = self.ask_secret(prompt)
        with self.ask_secret(f"{prompt} (again)") as second:
            if not first.equals(second):
                first.wipe()
                raise InvalidInput("the two are not the same", hint="Try again.")
        return first

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask for a yes before something that can't be undone.

        Raises:
            InvalidInput: The answer is no, or there is no terminal to ask on.
        """
        if yes:
            return
        if not sys.stdin.isatty():
            raise InvalidInput("this can't be undone and wants a yes", hint="Give --yes.")
        self._err.print(Text.assemble(plain.lines(question), " type yes to go on: "), end="")
        if sys.stdin.readline().strip() != "yes":
            raise InvalidInput("not done")

    # -- progress -------------------------------------------------------------------------------

    def watcher(self) -> "Watcher":
        """What shows the progress of work that takes over a second."""
        return Watcher(self._err, enabled=not self.json and sys.stderr.isatty())


class Watcher:
    """Shows a bar once the work has taken a second; use as a context manager."""

    def __init__(self, console: Console, *, enabled: bool) -> None:
        self._console = console
        self._enabled = enabled
        self._begun = time.monotonic()
        self._bar: Progress | None = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Callable[[Step], None]:
        return self._see

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _see(self, step: Step) -> None:
        if not self._enabled or time.monotonic() - self._begun < _PROGRESS_AFTER:
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.start()
        if step.what not in self._tasks:
            self._tasks[step.what] = self._bar.add_task(step.what, total=step.total)
        self._bar.update(self._tasks[step.what], completed=step.done, total=step.total)


def _cell(cell: str | Text) -> Text:
    if isinstance(cell, str):
        return Text(plain.line(cell))
    cell.plain = plain.line(cell.plain)  # as long as it was, so that its colours stay in place
    return cell


def moment(time_: dt.datetime | None) -> str:
    """A time for people: local date, time and zone left to UTC for comparability."""
    return "-" if time_ is None else time_.strftime("%Y-%m-%d %H:%M:%S")


def count(number: int, noun: str) -> str:
    """A number of things, as in "1 user" and "2 users"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def ago(time_: dt.datetime | None, now: dt.datetime | None = None) -> str:
    """How long ago, in one unit."""
    if time_ is None:
        return "never"
    seconds = ((now or dt.datetime.now(dt.UTC)) - time_).total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return "just now" if seconds < 10 else f"{seconds:.0f} s ago"
