"""Rotators that are somebody else's programs: what they are told, and what they can't do."""

import json
import os
import time
from pathlib import Path

import pytest

from adyton.errors import InvalidInput, RotationError
from adyton.rotating import Bounds
from adyton.rotationpolicy import RotationPolicy
from adyton.service.rotation.room import RotationOptions
from others import KEY, Program, Webhook
from support import Place


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


@pytest.fixture
def webhook():
    found = Webhook()
    yield found
    found.close()


@pytest.fixture
def store(tmp_path, program):
    options = RotationOptions(Bounds(programs=program.folder, seconds=2), lease_seconds=60)
    with Place(tmp_path).open(rotation=options) as opened:
        opened.set_secret("alice", "key", KEY)
        yield opened


def rotate(store, rotator, settings, admin="", **more):
    policy = RotationPolicy(rotator=rotator, settings=settings, admin=admin, grace=0, **more)
    store.rotation.set_policy("alice", "s", policy)
    return store.rotation.run("alice", "s")


def test_a_program_gets_values_on_its_input_alone(store, program, tmp_path, monkeypatch):
    """Neither its arguments nor its environment have a value, nor what the server's has."""
    monkeypatch.setenv("SOMETHING_SECRET", "of the server")
    program.add(
        "spy",
        f"#!/bin/sh\ncat >> {tmp_path}/input;"
        f" tr '\\0' '\\n' < /proc/self/environ >> {tmp_path}/env;"
        f" tr '\\0' ' ' < /proc/$$/cmdline >> {tmp_path}/args; echo '{{\"ok\": true}}'\n",
    )
    rotate(store, "program", {"program": "spy", "region": "eu"}, admin="key")
    value = store.get_secret("alice", "s").text()
    told = [json.loads(line) for line in (tmp_path / "input").read_text().splitlines()]
    steps = [each["step"] for each in told if each["step"] != "admin"]
    assert steps == ["create", "set", "test"]
    assert told[0]["settings"] == {"region": "eu"}
    assert told[1]["new"] == KEY.decode()
    assert all(each["new"] == value for each in told if each["step"] == "set")
    assert len({each["token"] for each in told if each["step"] != "admin"}) == 1
    outside = (tmp_path / "env").read_text() + (tmp_path / "args").read_text()
    assert value not in outside
    assert KEY.decode() not in outside
    assert "of the server" not in outside


def test_a_program_may_bring_a_value_of_its_own(store, program):
    """What it answers to create is what becomes current."""
    program.add("own", '#!/bin/sh\ncat >/dev/null; echo \'{"ok": true, "value": "of its own"}\'\n')
    rotate(store, "program", {"program": "own"})
    assert store.get_secret("alice", "s").text() == "of its own"


def test_a_program_that_hangs_is_ended_with_its_children(store, program, tmp_path):
    """The whole group ends, at the step's time; the error says so, and nothing else is held up."""
    pids = tmp_path / "pids"
    program.add("hang", f"#!/bin/sh\nsleep 600 & echo $! > {pids}; sleep 600\n")
    began = time.monotonic()
    with pytest.raises(RotationError, match="takes too long"):
        rotate(store, "program", {"program": "hang"})
    assert time.monotonic() - began < 20
    end = time.monotonic() + 10
    child = int(pids.read_text())
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
                break
        except FileNotFoundError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("a child of the program lives on")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("exit 3", "status 3"),
        ("echo nonsense", "as agreed"),
        ("""echo '{"ok": false, "error": "VALUE-IN-A-TEXT"}'""", "was not done"),
        ("""echo '{"ok": true, "value_base64": "*"}'""", "not base64"),
    ],
)
def test_a_program_that_fails_is_told_of_without_its_words(store, program, text, match):
    """Its text may hold a value, so it is neither raised nor stored."""
    program.add("bad", f"#!/bin/sh\ncat >/dev/null; {text}\n")
    with pytest.raises(RotationError, match=match) as caught:
        rotate(store, "program", {"program": "bad"})
    assert "VALUE-IN-A-TEXT" not in str(caught.value)
    assert "VALUE-IN-A-TEXT" not in store.rotation.history("alice", "s")[0].error


@pytest.mark.parametrize("name", ["../rotate", "/bin/sh", "a b", "-c", "", ".hidden"])
def test_only_names_of_files_are_programs(store, name):
    """A path or an option is refused when the policy is set."""
    with pytest.raises(InvalidInput):
        rotate(store, "program", {"program": name})


def test_links_out_of_the_folder_are_not_followed(store, program):
    """What may be run lies in the folder itself."""
    os.symlink("/bin/true", program.folder / "link")
    with pytest.raises(RotationError, match="no such program"):
        rotate(store, "program", {"program": "link"})


def test_without_a_folder_no_program_is_run(tmp_path):
    """The operator's word comes before any policy."""
    folder = tmp_path / "x"
    folder.mkdir()
    with Place(folder).open() as store, pytest.raises(RotationError, match="may be run"):
        rotate(store, "program", {"program": "rotate"})


def test_a_webhook_is_asked_with_a_signature(store, webhook):
    """Each step comes once, signed; the new value works there and the former one does not."""
    rotate(store, "webhook", {"url": webhook.url, "x-region": "eu"}, admin="key")
    first = store.get_secret("alice", "s").text()
    store.rotation.run("alice", "s")
    second = store.get_secret("alice", "s").text()
    assert webhook.values == {second}
    assert [s["step"] for s in webhook.steps][-4:] == ["create", "set", "test", "retire"]
    assert webhook.steps[-1]["former"] == first
    assert webhook.steps[-1]["settings"] == {"region": "eu"}


@pytest.mark.parametrize("answer", [b"[]", b"{", b'{"ok": false}', b"x" * 3_000_000])
def test_a_webhook_that_answers_otherwise_changes_nothing(store, webhook, answer):
    """The secret keeps its value, whatever is answered."""
    store.set_secret("alice", "s", "as it was")
    webhook.answer = answer
    with pytest.raises(RotationError):
        rotate(store, "webhook", {"url": webhook.url}, admin="key")
    assert store.get_secret("alice", "s").text() == "as it was"


@pytest.mark.parametrize("url", ["http://hooks.example/x", "ftp://a", "https://u:p@h/", ""])
def test_values_do_not_go_out_in_the_clear(store, url):
    """Plain HTTP to another machine, and what is no URL, is refused when the policy is set."""
    with pytest.raises(InvalidInput):
        rotate(store, "webhook", {"url": url}, admin="key")
