"""Logs: what a line holds, what it never holds, and that there is one for each request."""

import io
import json
import logging
import sys
import threading
import time
from pathlib import Path

import pytest

from adyton.config import TelemetrySettings
from adyton.server.telemetry import logs
from adyton.server.telemetry.describe import describe, frames
from adyton.server.telemetry.hashing import hashed
from adyton.server.telemetry.outlet import Outlet
from servers import TOKEN, WatchedServer, free_port


class Written:
    """What a log has written so far."""

    def __init__(self, out, made):
        self.out, self.made = out, made

    def getvalue(self):
        self.made.outlet.close()
        return self.out.getvalue()


@pytest.fixture
def written():
    """The process's logs as they are configured for a server, and put back afterwards."""
    out = io.StringIO()
    root = logging.getLogger()
    saved = root.handlers[:], root.level, threading.excepthook, sys.unraisablehook
    names = [name for name in logging.root.manager.loggerDict if not name.startswith("adyton")]
    levels = {name: logging.getLogger(name).level for name in names}
    made = logs.configure(TelemetrySettings(log_level="debug"), out)
    yield Written(out, made)
    made.close()
    root.handlers[:], level, threading.excepthook, sys.unraisablehook = saved
    root.setLevel(level)
    logging.captureWarnings(False)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(out):
    text = out if isinstance(out, str) else out.getvalue()
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_is_json_with_time_level_logger_and_text(written):
    """One object a line, in UTC."""
    logging.getLogger("adyton.server").warning("it is %s", "so")
    (line,) = lines(written)
    assert line["event"] == "it is so"
    assert (line["level"], line["logger"]) == ("warning", "adyton.server")
    assert line["timestamp"].endswith("Z")


def test_what_libraries_say_is_told_by_place_only(written):
    """Neither the text nor the arguments of a foreign record, whatever its level."""
    logging.getLogger("urllib3.connectionpool").error("sent %s", "canary")
    logging.getLogger("asyncio").critical("canary")
    logging.getLogger("adytonx").warning("canary")
    assert "canary" not in written.getvalue()
    assert [line["event"] for line in lines(written)] == [logs.FOREIGN] * 3
    assert all(line["source"].startswith("server/test_logs.py:") for line in lines(written))


def test_exceptions_are_told_by_type_and_place_only(written):
    """No text of an exception or its causes, no values of variables, no source lines."""
    secret = "canary"
    try:
        try:
            raise KeyError(secret)
        except KeyError as error:
            raise RuntimeError(f"{secret}!") from error
    except RuntimeError as error:
        logging.getLogger("adyton").exception("it failed")
        shown = describe(error), frames(error)
    (line,) = lines(written)
    assert line["exception"] == "builtins.RuntimeError from builtins.KeyError"
    assert (line["exception"], line["frames"]) == shown
    assert "test_exceptions_are_told" in line["frames"]
    assert "canary" not in written.getvalue()


def test_only_listed_fields_are_written(written):
    """A field that is not on the list is dropped, and so is a value that is no plain one."""
    log = logs.make_logger(TelemetrySettings(), written.out)
    log.info("x", token="canary", password=b"canary", mount=["canary"], status=200, **{"a b": 1})
    (line,) = lines(written)
    assert set(line) == {"event", "level", "status", "timestamp"}
    assert "canary" not in written.getvalue()


def test_control_characters_do_not_reach_a_terminal():
    """An escape sequence in a value is harmless on the console too."""
    out = io.StringIO()
    log = logs.make_logger(TelemetrySettings(log_format="console"), out)
    log.info("request", mount="a\x1b[2J\nb")
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().count("\n") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_threads_that_fail_are_told_without_text(written):
    """By type, as everything else; not by the interpreter's own traceback."""
    thread = threading.Thread(target=lambda: int("canary"))
    thread.start()
    thread.join()
    (line,) = lines(written)
    assert line["exception"] == "builtins.ValueError"
    assert "canary" not in written.getvalue()


def test_levels_hold(written):
    """What is less severe than the level is not written."""
    out = io.StringIO()
    log = logs.make_logger(TelemetrySettings(log_level="error"), out)
    log.warning("x")
    log.error("y")
    assert [line["event"] for line in lines(out)] == ["y"]


def test_hashes_tell_apart_and_nothing_else():
    """The same text gives the same hash, other texts and other splits another one."""
    assert hashed("path", "root", "x") == hashed("path", "root", "x")
    seen = {hashed("path", "root", "x"), hashed("path", "rootx", ""), hashed("path", "roo", "tx")}
    assert len(seen) == 3
    assert all(len(text) == 16 for text in seen)


def test_each_request_is_one_line(tmp_path):
    """Reads, refusals, logins and what no handler sees: one line each, with its facts."""
    server = WatchedServer(tmp_path, log_requests=True, log_level="info")
    server.root("POST", "/v1/secret/data/one", {"data": {"a": "b"}})
    first = server.root("GET", "/v1/secret/data/one")
    server.root("GET", "/v1/secret/data/one")
    server.root("GET", "/v1/secret/data/other")
    server.raw("GET", "/v1/secret/data/one", token="wrong")
    server.raw("GET", "/v1/secret/data/%2e%2e/x")
    server.raw("GET", "/elsewhere")
    accessor = server.root("GET", "/v1/auth/token/lookup-self")[2]["data"]["accessor"]
    code, out, err = server.stop()
    assert code == 0
    assert not out
    found = [line for line in lines(err) if line["event"] == "request"]
    found = [line for line in found if not (line["area"] == "sys" and "accessor" not in line)]
    assert [line["status"] for line in found] == [200, 200, 200, 404, 403, 400, 404, 200]
    write, read, again, other, refused, odd, elsewhere, lookup = found
    assert first[2]["request_id"] == read["request_id"]
    assert read["mount"] == write["mount"] == "secret/"
    assert read["path_hash"] == again["path_hash"] != other["path_hash"]
    assert read["accessor"] == accessor
    assert "accessor" not in refused
    assert read["bytes_out"] > 100
    assert write["bytes_in"] == len(json.dumps({"data": {"a": "b"}}))
    assert all(0 <= line["seconds"] < 10 for line in found)
    assert all(line["address"] == "127.0.0.1" for line in found)
    assert odd["request_id"]
    assert elsewhere["area"] == "other"
    assert lookup["mount"] == "auth/token/"
    assert TOKEN not in err


def test_without_the_setting_no_request_is_logged(tmp_path):
    """Requests leave no line by default, and every line is JSON where there is no terminal."""
    server = WatchedServer(tmp_path)
    server.root("GET", "/v1/secret/data/one")
    _, _, err = server.stop()
    assert not [line for line in lines(err) if line["event"] == "request"]


class Stuck(io.StringIO):
    """A reader that takes nothing."""

    def __init__(self):
        super().__init__()
        self.free = threading.Event()

    def write(self, text):
        self.free.wait()
        return super().write(text)


def test_a_reader_that_is_stuck_stops_nobody():
    """Writing goes on at once; what finds no room is dropped and counted, the rest is kept."""
    out = Stuck()
    outlet = Outlet(out, waiting=100)
    started = time.monotonic()
    for n in range(1_000):
        outlet.write(f"{n}\n")
    outlet.close(0.1)
    assert time.monotonic() - started < 5
    out.free.set()
    assert 850 <= outlet.dropped <= 900
    outlet._thread.join(10)
    assert len(out.getvalue().splitlines()) == 1_000 - outlet.dropped


def test_a_server_whose_log_nobody_reads_goes_on(tmp_path):
    """A pipe that is full: requests are answered as ever."""
    child = Path(__file__).parents[1] / "watched_server.py"
    server = WatchedServer.__new__(WatchedServer)
    server.port, server.folder = free_port(), tmp_path
    settings = {"log_level": "debug", "log_requests": True}
    command = [sys.executable, child, tmp_path, str(server.port), TOKEN, json.dumps(settings)]
    server._start(command, {"PYTHONPATH": str(child.parent)})
    for _ in range(600):  # some 200 KB of lines; a pipe holds 64
        assert server.raw("GET", "/v1/sys/health")[0] == 200
    server.process.kill()
    server.process.communicate()
