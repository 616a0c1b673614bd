"""A real PostgreSQL and a real Redis, each in a folder of its own, on loopback."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from support import missing_component, require_program

ADMIN = "adyton_admin"
PASSWORD = "an admin's password in tests"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _until(ready, process, what):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{what} ends with status {process.returncode}")
        if ready():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{what} does not answer")


@contextlib.contextmanager
def _folder(user):
    """A folder that another user may write to: PostgreSQL does not run as root."""
    folder = Path(tempfile.mkdtemp(prefix="adyton-db-"))
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Postgres:
    """A server with an admin who may alter roles, and what is rotated in it: pairs, or single."""

    def __init__(self, port, folder):
        self.port = port
        self.log = folder / "log"

    def connect(self, user=ADMIN, password=PASSWORD):
        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname="postgres", user=user, password=password,
            sslmode="disable", require_auth="scram-sha-256", connect_timeout=10, autocommit=True,
        )  # fmt: skip

    def lets_in(self, login):
        try:
            self.connect(login["username"], login["password"]).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                return False
            raise
        return True

    def make_roles(self, *names):
        with self.connect() as server:
            for name in names:
                server.execute(
                    psycopg.sql.SQL("CREATE ROLE {} LOGIN").format(psycopg.sql.Identifier(name))
                )

    def settings(self, roles):
        place = {"host": "127.0.0.1", "port": str(self.port), "sslmode": "disable"}
        if "," in roles:
            return {**place, "roles": roles}
        return {**place, "mode": "single", "role": roles}


@contextlib.contextmanager
def postgres():
    """Start PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        missing_component("postgresql", "it is not installed")
    programs = found[-1].parent
    user = "postgres" if os.geteuid() == 0 else None
    run = {"user": user, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    with _folder(user) as folder:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", ADMIN, "-A", "scram-sha-256",
             f"--pwfile={secret}", "--no-sync", "-E", "UTF8", "--locale=C"],
            check=True, **run,
        )  # fmt: skip
        server = Postgres(free_port(), folder)
        with server.log.open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", "-p", str(server.port),
                 "-h", "127.0.0.1", "-k", folder, "-c", "fsync=off", "-c", "log_statement=all",
                 "-c", "shared_buffers=16MB"],
                **(run | {"stderr": log}),
            )  # fmt: skip

        def ready():
            try:
                server.connect().close()
            except psycopg.OperationalError:
                return False
            return True

        try:
            _until(ready, process, "PostgreSQL")
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Redis:
    """A server with an admin, and users of its access control list."""

    def __init__(self, port):
        self.port = port

    def connect(self, user=ADMIN, password=PASSWORD):
        return redis.Redis(
            host="127.0.0.1",
            port=self.port,
            username=user,
            password=password,
            socket_timeout=10,
            retry=Retry(NoBackoff(), 0),
        )

    def lets_in(self, login):
        try:
            with self.connect(login["username"], login["password"]) as server:
                server.connection_pool.get_connection().disconnect()
        except redis.AuthenticationError:
            return False
        return True

    def make_user(self, name):
        with self.connect() as server:
            server.execute_command("ACL", "SETUSER", name, "on", "~*", "+get")

    def passwords(self, name):
        with self.connect() as server:
            found = server.execute_command("ACL", "GETUSER", name)
            if isinstance(found, dict):
                return found.get("passwords", found.get(b"passwords"))
            return found[found.index(b"passwords") + 1]

    def settings(self, user):
        return {"host": "127.0.0.1", "port": str(self.port), "user": user, "tls": "no"}


@contextlib.contextmanager
def redis_server():
    """Start Redis."""
    program = require_program("redis-server")
    with _folder(None) as folder:
        server = Redis(free_port())
        config = folder / "redis.conf"
        config.write_text(
            f'bind 127.0.0.1\nport {server.port}\ndir {folder}\nsave ""\n'
            f'user {ADMIN} on >"{PASSWORD}" ~* +@all\nuser default off\n'.replace(
                f'>"{PASSWORD}"', f'">{PASSWORD}"'
            )
        )
        process = subprocess.Popen([program, config], stdout=subprocess.DEVNULL)

        def ready():
            try:
                return server.lets_in({"username": ADMIN, "password": PASSWORD})
            except redis.ConnectionError:
                return False

        try:
            _until(ready, process, "Redis")
            yield server
        finally:
            process.terminate()
            process.wait()
