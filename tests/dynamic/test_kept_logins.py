"""A login that a connection keeps goes where it was given for, as it was given for."""

import socket

import pytest

from adyton.dynamicvalues import Connection
from adyton.errors import InvalidInput
from adyton.model import Caller
from adyton.service.dynamic.configuration import Dynamics
from support import Place

LOGIN = b'{"username":"admin","password":"canary"}'
CALLER = Caller("test", "alice")


@pytest.fixture
def listener():
    """The place itself: whoever is on the way to it sees what is sent without TLS."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


def met(listener):
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        {"sslmode": "disable"},
        {"sslmode": "require"},
        {"sslrootcert": "/etc/ssl/certs/mine.pem"},
        {"database": "other"},
        {"host": "localhost"},
        {"port": "1"},
    ],
)
def test_another_way_to_the_place_needs_the_login_again(tmp_path, listener, changed, verify):
    """Whoever may write connections alone can't have it sent with less TLS, or elsewhere."""
    where = {"host": "127.0.0.1", "port": str(listener.getsockname()[1]), "sslmode": "verify-full"}
    with Place(tmp_path).open() as store:
        run = store._opened.core.commit.run_sync
        kept = Dynamics(store._opened.core)

        def put(settings, **more):
            run(kept.set_connection(CALLER, "alice", "db", Connection(settings=settings), **more))

        put(where, login=LOGIN)
        put(where)  # the same, and the login stays
        with pytest.raises(InvalidInput):
            put(where | changed, verify=verify)
        assert not met(listener)
        assert run(kept.get_connection(CALLER, "alice", "db")).settings == where
        put(where | changed, login=LOGIN)
        assert run(kept.get_username(CALLER, "alice", "db")) == "admin"
