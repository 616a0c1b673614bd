"""What the tests of dynamic credentials share."""

import contextlib

import psycopg

import databases
from adyton.dynamicvalues import Connection, DynamicRole
from adyton.rotating import Bounds
from adyton.service.rotation.room import RotationOptions
from support import Place

HOLD = 60


def settings(postgres):
    return {"host": "127.0.0.1", "port": str(postgres.port), "sslmode": "disable"}


def roles_in(postgres, prefix="adyton-"):
    """The roles that are there."""
    with postgres.connect() as server:
        found = server.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE %s", (prefix + "%",)
        )
        return {row[0] for row in found.fetchall()}


def lets_in(postgres, username, password):
    return postgres.lets_in({"username": username, "password": password})


@contextlib.contextmanager
def world(folder, postgres, user="alice", *, hold=HOLD, seconds=20, max_leases=1000, **role):
    """An open store with a connection, a dynamic role ``app``, and a clock that can be moved."""
    options = RotationOptions(Bounds(seconds=seconds), hold, max_leases=max_leases)
    with Place(folder).open(rotation=options) as store:
        clock = store._opened.core.clock
        real = clock.now_us
        store.ahead = 0
        clock.now_us = lambda: real() + int(store.ahead * 1_000_000)
        configure(store, postgres, user, **role)
        yield store


def configure(store, postgres, user="alice", **role):
    store.set_secret(user, "admin", {"username": databases.ADMIN, "password": databases.PASSWORD})
    store.dynamic.set_connection(user, "db", Connection(settings=settings(postgres), admin="admin"))
    store.dynamic.set_role(user, "app", DynamicRole(connection="db", **role))


class Session:
    """A connection to the database that is open by credentials."""

    def __init__(self, postgres, username, password):
        self._server = postgres.connect(username, password)

    @property
    def open(self):
        try:
            self._server.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True
