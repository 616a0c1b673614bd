"""What others have chosen says nothing to a terminal, by whatever command it is shown."""

import contextlib
import datetime as dt
import io
import json
import re
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from adyton.cli import notices, plain
from adyton.cli.ui import Ui
from adyton.errors import InvalidInput
from adyton.noticevalues import NoticeInfo
from shell import Remote

EVIL = (
    "\x1b]0;title\x07\x1b[2K\x1b[1A\x9b31m\r\x08\x7f\u202egnp.exe\u2066[link=https://evil]x[/link]"
)
OBEYED = [*map(chr, (0x1B, 0x07, 0x9B, 0x0D, 0x08, 0x7F, 0x202E, 0x2066))]

OURS = re.compile(r"\x1b\[[0-9;]*m")
"""Colours; the text has others."""


def shown(show, *, terminal=False, as_json=False):
    """What a command's output is: both streams."""
    out, err = io.StringIO(), io.StringIO()
    out.isatty = err.isatty = lambda: terminal
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        show(Ui(json=as_json, color=False))
    return out.getvalue() + err.getvalue()


SHOWS = {
    "table": lambda ui, text: ui.table(("a",), [(text,), (Text(text, style="red"),)], "none"),
    "nothing in it": lambda ui, text: ui.table(("a",), [], text),
    "line": lambda ui, text: ui.line(text, "bold"),
    "card": lambda ui, text: ui.card(text, [(text, text)], text),
    "command": lambda ui, text: ui.command(text),
    "note": lambda ui, text: ui.note(text),
    "done": lambda ui, text: ui.done(text),
    "warning": lambda ui, text: ui.warn(text),
    "error": lambda ui, text: ui.error(InvalidInput(text, hint=text), 2),
    "document": lambda ui, text: ui.document({text: text}),
}


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("kind", SHOWS)
def test_nothing_is_obeyed(kind, terminal):
    """Neither controls nor marks of direction nor markup; the rest of the text is there."""
    for as_json in (False, True):
        text = shown(lambda ui: SHOWS[kind](ui, EVIL), terminal=terminal, as_json=as_json)
        text = OURS.sub("", text)
        assert not [char for char in OBEYED if char in text]
        assert not text or "[link=https://evil]x" in "".join(text.split())


def test_a_text_of_several_lines():
    """Its lines stay; a program gets it as it is."""
    on_terminal = shown(lambda ui: ui.text(f"a\n{EVIL}\n"), terminal=True)
    assert not [char for char in OBEYED if char in on_terminal]
    assert on_terminal.startswith("a\n")
    assert shown(lambda ui: ui.text(f"a\n{EVIL}")) == f"a\n{EVIL}\n"


HEADINGS = ("LEAF", "TIME (UTC)", "ACTION", "SECRET", "DONE", "REASON")
ROW = ("12345", "2026-11-25 18:02:03", "rotation.write", "db/password", "no", "x" * 27)


def in_window(monkeypatch, columns, headings, rows):
    """A table as a window of so many columns shows it."""
    monkeypatch.setenv("COLUMNS", str(columns))
    text = shown(lambda ui: ui.table(headings, rows, "none"), terminal=True)
    text = OURS.sub("", text)
    assert all(len(line.rstrip()) <= columns for line in text.splitlines())
    return text


@pytest.mark.parametrize("columns", [40, 50, 60, 80, 120])
def test_a_narrow_window_breaks_words_and_loses_none(monkeypatch, columns):
    """Long words go on in the next line where there is no room; without any, rows are blocks."""
    text = in_window(monkeypatch, columns, HEADINGS, [ROW, ROW])
    assert text.count("x") == 54
    assert ("x" * 27 in text) == (columns not in {60, 80})  # in blocks there is room again
    assert text.count("2026-11-25") == text.count("18:02:03") == 2
    assert text.count("REASON") == (1 if columns >= 60 else 2)


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_an_id_is_not_broken(monkeypatch, columns):
    """It is there to be copied, whatever stands beside it."""
    ident, name = "i" * 24, "n" * 50
    text = in_window(monkeypatch, columns, ("ID", "ENDS (UTC)", "NAME"), [(ident, ROW[1], name)])
    assert ident in text
    assert text.count("n") == 50


TIME = dt.datetime(2026, 11, 25, 18, 2, 3, tzinfo=dt.UTC)
DETAILS = {"actor": "userpass auth/people/ ann#Z1b2C3d4E5f6G7h8I9j0K1l2", "network": "203.0.113.0"}
ALERTS = [
    NoticeInfo("A1b2C3d4E5f6G7h8I9j0K1l2", kind, TIME, subject, DETAILS, None)
    for kind, subject in (("alert.unusual-hour", "db/production/password"), ("alert.burst", "a"))
]


@pytest.mark.parametrize("columns", [60, 80])
def test_what_notices_and_alerts_are_found_by_is_not_broken(monkeypatch, columns):
    """Their ids, what happened and to which secret; in details each character is there."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(notices, "state", lambda: SimpleNamespace(ui=Ui(json=False, color=False)))
    for infos in (ALERTS, ALERTS[:1], ALERTS[1:]):
        for show in (
            lambda: notices.show_notices(infos, "none"),
            lambda: notices.show_notice(infos[0]),
        ):
            text = OURS.sub("", shown(lambda _: show(), terminal=True))
            assert all(len(line.rstrip()) <= columns for line in text.splitlines())
            for info in infos if "FIELD" not in text else infos[:1]:
                assert {info.id, info.kind, info.subject, "2026-11-25"} <= set(text.split())
                assert "18:02:03" in text
            for char in "#/.":
                assert text.count(char) >= str(DETAILS).count(char)


def test_what_says_nothing_gives_way(monkeypatch):
    """Columns in which no row has anything go before a word is broken, and stay where they fit."""
    headings, row = ("ID", "ENDS (UTC)", "PARENT", "NAME"), ("x" * 20, "-", "", "n" * 20)
    assert "PARENT" in in_window(monkeypatch, 80, headings, [row])
    assert in_window(monkeypatch, 44, headings, [row]).split() == ["ID", "NAME", row[0], row[3]]
    assert "PARENT" in in_window(monkeypatch, 44, headings, [row, (*row[:2], "p", "n")])


WORDS = st.text("abc-: ", max_size=30).map(lambda text: " ".join(text.split()))


@given(
    st.integers(1, 8).flatmap(lambda n: st.lists(st.tuples(*[WORDS] * n), min_size=1, max_size=4)),
    st.integers(25, 130),
)
def test_any_table(rows, columns):
    """Whatever the window: every character is there, none of it beyond the edge."""
    with pytest.MonkeyPatch.context() as patch:
        headings = [f"H{at}" for at in range(len(rows[0]))]
        text = in_window(patch, columns, headings, rows)
    for char in "abc-:":
        said = sum(cell.count(char) for row in rows for cell in row if cell != "-")
        assert said <= text.count(char) <= said + sum(row.count("-") for row in rows)


@given(st.text())
def test_any_text(text):
    """What is replaced is what a terminal may obey, one for one."""
    made = plain.line(text)
    assert len(made) == len(text)
    for before, after in zip(text, made, strict=True):
        if after == before:
            assert unicodedata.category(before) not in {"Cc", "Cs", "Zl", "Zp"}
        else:
            assert unicodedata.category(before) in {"Cc", "Cs", "Zl", "Zp", "Cf"}
    if made == text:
        assert json.loads(plain.json(json.dumps(text, ensure_ascii=False))) == text


def test_names_that_clients_choose(tmp_path):
    """By way of the server: whoever may make a token, a policy or a role chooses what it says."""
    remote = Remote(tmp_path)
    try:
        server = remote.server
        body = {"display_name": EVIL, "meta": {EVIL: EVIL}, "policies": ["default"]}
        _, _, made = server.root("POST", "/v1/auth/token/create", body)
        texts = [
            remote("audit", "log"),
            remote("token", "lookup", "--accessor", made["auth"]["accessor"]),
        ]
        server.root("PUT", "/v1/sys/policies/acl/p", {"policy": f"# {EVIL}\n" + 'path "a" {}'})
        texts.append(remote("policy", "list"))
        for text in texts:
            found = text.decode()
            assert not [char for char in OBEYED if char in found]
    finally:
        code, _, err = remote.server.stop()
        assert code == 0, err
