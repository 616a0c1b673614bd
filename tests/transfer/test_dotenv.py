"""dotenv files, against python-dotenv itself and a shell."""

import contextlib
import io
import subprocess

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.errors import InvalidDocument, InvalidInput
from adyton.model import CONTENT_TEXT, State
from adyton.transfer import PortableVersion, TransferLimits
from adyton.transfer.dotenv import read_dotenv, write_dotenv
from transfer.helpers import CANARY, NOW, chain, need_program, secret, values

KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
# Dense in the characters that quoting is about.
TEXTS = st.text(
    st.sampled_from("ab '\"\\$`#=\n\t{}!;&|*~é\u2028\U0001f511") | st.characters(codec="utf-8")
)
HARD = [
    "",
    " ",
    "a b",
    "'",
    '"',
    "\\",
    "\\\\",
    "a\\",
    "a\\'b",
    "$HOME",
    "`id`",
    "$(id)",
    "a\nb",
    "#x",
]
HARD += [
    "a #b",
    "\ttab\t",
    "it's",
    'say "hi"',
    "\\n",
    "'\\n\"",
    "!x",
    "é\u2028",
    "=",
    "\\$",
    "\ufeff",
]


def writable(texts):
    """A document of the texts that can be written, and those texts."""
    found, lines = {}, []
    for number, text in enumerate(texts):
        try:
            lines.append(write_dotenv([secret(f"V{number}", text.encode())]))
        except InvalidInput:
            continue
        found[f"V{number}"] = text
    return b"".join(lines), found


@given(st.lists(TEXTS, max_size=4))
@settings(deadline=None)
def test_python_dotenv_reads_what_is_written(texts):
    """python-dotenv, with interpolation on and off, and the reader read the same values."""
    document, expected = writable(texts)
    for interpolate in (True, False):
        stream = io.StringIO(document.decode(), newline=None)
        assert dotenv_values(stream=stream, interpolate=interpolate) == expected
    assert values(read_dotenv(document, now=NOW)) == {k: v.encode() for k, v in expected.items()}


def shell_values(document, tmp_path, shell):
    path = tmp_path / "file.env"
    path.write_bytes(document)
    script = 'set -a; . "$1"; exec env -0'
    done = subprocess.run(
        [need_program(shell, shell), "-c", script, shell, path],
        env={"PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
    )
    assert done.stderr == b""
    pairs = (part.split(b"=", 1) for part in done.stdout.split(b"\0") if part)
    return {k.decode(): v.decode() for k, v in pairs if k.startswith(b"V")}


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_shell_reads_what_is_written(shell, tmp_path):
    """A shell that sources the file has the same values in its environment."""
    document, expected = writable(HARD)
    assert len(expected) == len(HARD)
    assert shell_values(document, tmp_path, shell) == expected


@given(st.lists(TEXTS, min_size=20, max_size=40))
@settings(deadline=None, max_examples=25)
def test_bash_reads_any_value_that_is_written(tmp_path_factory, texts):
    """Whatever the writer accepts, bash reads back the same."""
    document, expected = writable(texts)
    assert shell_values(document, tmp_path_factory.mktemp("env"), "bash") == expected


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (b"a\0b", "NUL"),
        (b"a\rb", "carriage return"),
        (b"a${b}", r"'\$\{'"),
        (b"it's $5", "both a quote or backslash"),
        (b"\\\\`", "both a quote or backslash"),
        (b" " * 1001, "more than 1000 spaces"),
        (b"\xff", "not text"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(value, fault):
    """A value that some reader would change is refused with the way out."""
    with pytest.raises(InvalidInput, match=fault) as caught:
        write_dotenv([secret("OK"), secret("BAD", value)])
    assert caught.value.message.startswith("secret 2: ")
    assert "bundle" in caught.value.hint


@pytest.mark.parametrize("name", ["1A", "a-b", "a/b", "é", "x/app/A", "A\u0663"])
def test_a_name_that_is_no_variable_is_refused(name):
    """A name that no shell takes, or outside the prefix, is refused without being shown."""
    with pytest.raises(InvalidInput, match="secret 1: its name is no variable name") as caught:
        write_dotenv(
            [secret(name) if name != "app/" else secret("app")], prefix="app/"[: len(name) > 5]
        )
    assert name not in caught.value.message


def test_the_prefix_is_put_on_and_taken_off():
    """A prefix is put before each name when reading and taken off when writing."""
    found = read_dotenv(b"A=1\n", now=NOW, prefix="app/", created_by="cli:a")
    assert found[0].name == "app/A"
    assert found[0].current.created_by == "cli:a"
    assert found[0].current.content_type == CONTENT_TEXT
    assert write_dotenv(found, prefix="app/") == b"A='1'\n"
    with pytest.raises(InvalidInput):
        write_dotenv(found, prefix="web/")


def test_a_secret_that_is_not_live_or_comes_twice_is_not_written():
    """A deleted or destroyed current version and a repeated key are refused."""
    for state, value in ((State.DELETED, b"x"), (State.DESTROYED, None)):
        version = PortableVersion(1, 0, "", state, CONTENT_TEXT, value)
        with pytest.raises(InvalidInput, match="not live"):
            write_dotenv([secret("A", versions=(version,))])
    with pytest.raises(InvalidInput, match="secret 2: its name is that of an earlier one"):
        write_dotenv([secret("A"), secret("A")])


def test_the_forms_that_dotenv_knows_are_read():
    """Comments, export, quotes, several lines, blank values and CRLF are read."""
    document = (
        b"\xef\xbb\xbf# comment\r\n\r\nexport A=1\r\nB = two words # comment\nC='it\\'s'\n"
        b'D="a\\nb\n$E ${A}"\nE=$A\nF=\nG=""\n  H=#x\n'
    )
    assert values(read_dotenv(document, now=NOW)) == {
        "A": b"1",
        "B": b"two words",
        "C": b"it's",
        "D": b"a\nb\n$E ${A}",
        "E": b"$A",
        "F": b"",
        "G": b"",
        "H": b"#x",
    }
    assert read_dotenv(b"", now=NOW) == []


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("\n\nA=1\n\n\nA=2", "line 6: the name is that of line 3"),
        (f"A=1\n\n{CANARY}\nB=2", "line 3: a name without a value"),
        (f'A=1\r\n# x\r\nB="{CANARY}\n\n', "line 3: not a dotenv line"),
        (f"A=1\nB C={CANARY}", "line 2: not a dotenv line"),
        (f"={CANARY}", "line 1: not a dotenv line"),
        (f"A='{CANARY}' x", "line 1: not a dotenv line"),
        (f"'{CANARY}/../b'=x", "line 1: the secret name has a segment"),
        ("A=1\nB=" + " " * 2000 + CANARY, "line 2: more than 1000 spaces"),
        (f"A={CANARY * 2}", "line 1: the value is over 40 bytes"),
        ("\n".join(f"A{n}=" for n in range(9)), "more than 8 secrets"),
        ("#" * 70_000, "70000 bytes, more than 65536"),
        ("A=\udcff", "not UTF-8: byte 2"),
    ],
)
def test_a_bad_line_is_named_by_its_number(document, fault):
    """Each fault is refused with its line and without any of its text."""
    limits = TransferLimits(text_bytes=65_536, value_bytes=40, secrets=8)
    with pytest.raises(InvalidDocument, match=fault) as caught:
        read_dotenv(document.encode("utf-8", "surrogateescape"), now=NOW, limits=limits)
    assert CANARY not in chain(caught.value)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "unit", ["A=x #", "'", 'A="', "A='\\'", "A=x ", "export ", "\n", "A=x\x0b\n"]
)
def test_a_large_hostile_file_takes_little_time(unit):
    """A file of one repeated piece is read or refused quickly."""
    with contextlib.suppress(InvalidDocument):
        read_dotenv((unit * 1_000_000)[:1_000_000].encode(), now=NOW)
