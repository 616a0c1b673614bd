"""What a policy's settings name stays within what the operator allows, and within a step's time."""

import contextlib
import os
import socket
import threading
import time

import pytest

import databases
from adyton.errors import AdytonError, InvalidInput, RotationError
from adyton.rotating import Bounds, Turn
from adyton.rotationpolicy import RotationPolicy
from adyton.rotators._login import Login
from adyton.rotators._postgres import Connected
from adyton.rotators.postgresql import PostgresqlRotator
from adyton.rotators.redis import RedisRotator
from adyton.rotators.webhook import WebhookRotator
from support import Place

INSIDE = ("*.internal:*", "127.0.0.1:*", "/run/postgresql:5432")
LOGIN = b'{"username":"u","password":"p"}'
SECONDS = 2.0


class Door:
    """A place to connect to; whoever has come in is out again, and closed, when it ends."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._sockets = [self._socket]
        self._door = threading.Thread(target=self._accept, daemon=True)
        self._door.start()

    def _accept(self):
        while True:
            try:
                here, _ = self._socket.accept()
            except OSError:
                return
            self._sockets.append(here)
            self._meet(here)

    def _start(self, work, *args):
        threading.Thread(target=work, args=args, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            # To close alone wakes no thread that waits in accept.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._door.join(10)
        assert not self._door.is_alive()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class Listener(Door):
    """A place that counts who connects, and may say something, drop by drop."""

    def __init__(self, drops=b""):
        self._drops = drops
        self.met = 0
        super().__init__()

    def _meet(self, here):
        self.met += 1
        self._start(self._drip, here)

    def _drip(self, here):
        try:
            for drop in self._drops or [0]:
                here.sendall(bytes([drop]) if self._drops else b"")
                time.sleep(0.3)
            time.sleep(60)
        except OSError:
            pass


def within(work, seconds):
    """What comes of something that has to end within a time."""
    found = []

    def run():
        try:
            found.append(work())
        except AdytonError as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    began = time.monotonic()
    thread.start()
    thread.join(seconds)
    assert found, f"it takes more than {seconds} s"
    return found[0], time.monotonic() - began


def postgres_settings(port, **more):
    return {"host": "127.0.0.1", "port": str(port), "sslmode": "disable", "roles": "a,b", **more}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1,db.internal",
        "127.0.0.1 ,db.internal",
        ",db.internal",
        "/tmp/x.internal",
        "@x.internal",
        "127.0.0.1 .internal",
        "127.0.0.1\n.internal",
        "..internal/../127.0.0.1",
    ],
)
def test_one_host_of_the_network_and_no_other_is_named(tmp_path, host):
    """A library that takes several hosts, or a socket's folder, is not told of any."""
    with Listener() as listener:
        settings = postgres_settings(listener.port, host=host)
        bounds = Bounds(("*.internal:*",), seconds=SECONDS)
        turn = Turn("t", settings, bounds, LOGIN, None, LOGIN)
        with pytest.raises(RotationError, match="may not connect"):
            PostgresqlRotator().test(turn)
        assert listener.met == 0
    with Place(tmp_path).open() as store:
        store.set_secret("alice", "admin", {"username": "u", "password": "p"})
        policy = RotationPolicy(rotator="postgresql", settings=settings, admin="admin")
        if host.startswith("/"):
            return  # a socket's folder, which targets may list
        with pytest.raises(InvalidInput, match="host"):
            store.rotation.set_policy("alice", "db", policy)


@pytest.mark.parametrize(
    ("host", "port", "allowed"),
    [
        ("db.internal", 5432, True),
        ("DB.internal", 1, True),
        ("db.internal.example", 5432, False),
        ("127.0.0.1", 6379, True),
        ("::1", 5432, False),
        ("/run/postgresql", 5432, True),
        ("/run/postgresql", 5433, False),
        ("/run/postgresql/../evil.internal", 5432, False),
    ],
)
def test_what_targets_allow(host, port, allowed):
    """Sockets of this machine only where they are listed themselves."""
    if allowed:
        Bounds(INSIDE).allow(host, port)
    else:
        with pytest.raises(RotationError, match="may not connect"):
            Bounds(INSIDE).allow(host, port)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "absent"])
def test_only_files_are_read_for_certificates(tmp_path, kind):
    """What never ends, or keeps whoever opens it waiting, holds no thread up."""
    place = {"device": "/dev/zero", "folder": str(tmp_path)}.get(kind, str(tmp_path / "p"))
    if kind == "pipe":
        os.mkfifo(place)
    bounds = Bounds(seconds=SECONDS)
    with Listener() as listener:
        for rotator, settings in (
            (
                PostgresqlRotator(),
                postgres_settings(listener.port, sslmode="verify-full", sslrootcert=place),
            ),
            (
                RedisRotator(),
                {"host": "127.0.0.1", "port": str(listener.port), "user": "u", "ca_file": place},
            ),
            (
                WebhookRotator(),
                {"url": f"https://127.0.0.1:{listener.port}/", "ca_file": place},
            ),
        ):
            turn = Turn("t", settings, bounds, LOGIN, None, LOGIN)
            error, _ = within(lambda rotator=rotator, turn=turn: rotator.test(turn), 5)
            assert isinstance(error, RotationError)
            assert "can't be reached" in error.message
            assert str(tmp_path) not in error.message + error.hint
        assert listener.met == 0


class Deaf(Door):
    """A way to a database which, once told so, passes nothing back."""

    def __init__(self, port):
        self._to = port
        self.deaf = False
        super().__init__()

    def _meet(self, here):
        there = socket.create_connection(("127.0.0.1", self._to))
        self._sockets.append(there)
        self._start(self._pump, here, there, False)
        self._start(self._pump, there, here, True)

    def _pump(self, one, other, back):
        try:
            while data := one.recv(65536):
                if not (back and self.deaf):
                    other.sendall(data)
        except OSError:
            pass


def test_a_database_that_falls_silent_after_the_login_ends_the_step(postgres):
    """Whoever names a database can have one that keeps a statement's answer back for ever."""
    with Deaf(postgres.port) as way:

        def run():
            login = Login(databases.ADMIN, databases.PASSWORD)
            settings = postgres_settings(way.port)
            with Connected(settings, Bounds(seconds=SECONDS), login, "as admin") as server:
                way.deaf = True
                server.execute("SELECT 1")

        error, spent = within(run, 10)
        assert isinstance(error, RotationError)
        assert spent < SECONDS + 3


@pytest.mark.parametrize("kind", ["redis", "webhook"])
def test_an_answer_by_drops_ends_with_the_step(kind):
    """Each drop comes within the time for one, and all of them never end."""
    drops = (
        b"$100000\r\n" + b"x" * 200 if kind == "redis" else b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200
    )
    with Listener(drops) as listener:
        if kind == "redis":
            settings = {
                "host": "127.0.0.1", "port": str(listener.port), "user": "u", "tls": "no",
            }  # fmt: skip
            rotator = RedisRotator()
        else:
            settings = {"url": f"http://127.0.0.1:{listener.port}/"}
            rotator = WebhookRotator()
        turn = Turn("t", settings, Bounds(seconds=SECONDS), LOGIN, None, LOGIN)
        error, spent = within(lambda: rotator.test(turn), 10)
        assert isinstance(error, RotationError)
        assert spent < SECONDS + 3
