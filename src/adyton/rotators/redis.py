"""A user of Redis's access control list, who has two passwords while the former one works.

Passwords are given as their SHA-256 (``#`` and ``!`` of ACL SETUSER), as Redis keeps them: no
command, and so neither MONITOR nor the slow log, ever holds a password.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from hashlib import sha256
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adyton.errors import InvalidInput, RotationError
from adyton.rotating import Generated, Turn, known, needed, number, one_host
from adyton.rotators._bounded import ending_socket, is_file
from adyton.rotators._login import Login, login_of, made

_PERSIST: Final = {"": (), "acl": ("ACL", "SAVE"), "config": ("CONFIG", "REWRITE")}


class RedisRotator:
    """Adds a password, later removes the former one (``rotating.Rotator``)."""

    def check(self, settings: Mapping[str, str], *, admin: bool) -> None:
        """Check the settings; an admin is needed.

        Raises:
            InvalidInput: They can't be used.
        """
        known(settings, "host", "port", "user", "tls", "ca_file", "persist")
        one_host(settings)
        user = needed(settings, "user")
        if not user.isprintable() or " " in user:
            raise InvalidInput("the setting 'user' is not a name of a user of Redis")
        number(settings, "port", 6379, 1, 65535)
        if settings.get("tls", "yes") not in {"yes", "no"}:
            raise InvalidInput("the setting 'tls' is not yes or no")
        if settings.get("persist", "") not in _PERSIST:
            raise InvalidInput("the setting 'persist' is not acl or config")
        if not admin:
            raise InvalidInput(
                "the rotator 'redis' needs a secret that lets it in",
                hint="Name it as admin: a JSON object with 'username' and 'password'.",
            )

    def create(self, turn: Turn, generate: Callable[[], Generated]) -> Generated:
        """A new password for the user."""
        user = turn.settings["user"]
        if turn.former is not None and login_of(turn.former, "the secret").username != user:
            raise RotationError("the secret's username is not the policy's user")
        return made(user, generate)

    def set(self, turn: Turn) -> None:
        """Add the new password."""
        self._change(turn, "#", turn.new)

    def test(self, turn: Turn) -> None:
        """Log in with the new value."""
        _run(turn, login_of(turn.new, "the new value"), "with the new value")

    def retire(self, turn: Turn) -> None:
        """Remove the former password; connections that it has open live on."""
        if turn.former is not None:
            self._change(turn, "!", turn.former)

    def undo(self, turn: Turn) -> None:
        """Remove the new password."""
        self._change(turn, "!", turn.new)

    def _change(self, turn: Turn, sign: str, value: bytes) -> None:
        login = login_of(value, "the value")
        if login.username != turn.settings["user"]:
            raise RotationError("the value's username is not the policy's user")
        digest = sha256(login.password.encode()).hexdigest()
        admin = login_of(turn.admin, "the admin's secret")
        # SETUSER makes a user that is not there: of a mistyped name, that would be a new one.
        _run(turn, admin, "as admin", self._there, login.username, sign, digest)

    @staticmethod
    def _there(server: Any, user: str, sign: str, digest: str) -> None:  # noqa: ANN401 - untyped
        found = server.execute_command("ACL", "GETUSER", user)
        if not found:
            raise RotationError(
                "there is no such user of Redis", hint="Make it by ACL SETUSER, with its rights."
            )
        if sign == "!" and digest not in _passwords(found):
            return  # removed by an earlier attempt
        server.execute_command("ACL", "SETUSER", user, sign + digest)


def _passwords(found: Any) -> list[str]:  # noqa: ANN401 - RESP 2 gives a list, RESP 3 a map
    if isinstance(found, dict):
        members = {_text(key): value for key, value in found.items()}
    else:
        members = {_text(found[at]): found[at + 1] for at in range(0, len(found), 2)}
    return [_text(each) for each in members.get("passwords", [])]


def _text(value: Any) -> str:  # noqa: ANN401 - bytes or text, by the connection
    return value.decode() if isinstance(value, bytes) else str(value)


def _run(
    turn: Turn, login: Login, how: str, work: Callable[..., None] | None = None, *args: str
) -> None:
    """Log in and do something; with nothing to do, the login itself is the test."""
    settings, bounds = turn.settings, turn.bounds
    host, port = settings["host"], int(settings.get("port", "6379"))
    bounds.allow(host, port)
    if not is_file(settings.get("ca_file")):
        raise _unreachable(how)
    more: dict[str, Any] = {}
    if settings.get("tls", "yes") == "yes":
        more = {"ssl": True, "ssl_check_hostname": True, "ssl_cert_reqs": "required"}
        if "ca_file" in settings:
            more["ssl_ca_certs"] = settings["ca_file"]
    seconds = bounds.seconds / 3
    ends = time.monotonic() + bounds.seconds

    def connected(connection: Any) -> None:  # noqa: ANN401 - untyped
        """Bounds all that is said to the server, the login included; the library bounds waits."""
        left = ends - time.monotonic()
        socket = connection._sock  # noqa: SLF001 - nothing else tells it before the login
        bounded.enter_context(ending_socket(left, socket.fileno()))
        connection.on_connect()

    more["redis_connect_func"] = connected
    server: Any  # its commands have no types
    try:
        with (
            ExitStack() as bounded,
            redis.Redis(
                host=host,
                port=port,
                username=login.username,
                password=login.password,
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
                retry=Retry(NoBackoff(), 0),  # failures are tried again by who rotates, and told
                protocol=2,  # by RESP 3 a server can send its clients to another place
                **more,
            ) as server,
        ):
            if work is None:
                # The rights of the user need not include PING: being let in is what counts.
                server.connection_pool.get_connection().disconnect()
                return
            work(server, *args)
            command = _PERSIST[settings.get("persist", "")]
            if command:
                server.execute_command(*command)
    except redis.AuthenticationError:
        raise RotationError(f"Redis refuses the login {how}") from None
    except (redis.ConnectionError, redis.TimeoutError, OSError):
        raise _unreachable(how) from None
    except redis.RedisError as error:
        raise RotationError(f"Redis refuses {how}: {type(error).__name__}") from None


def _unreachable(how: str) -> RotationError:
    return RotationError(
        f"Redis can't be reached {how}", hint="Check host, port and tls of the policy."
    )
