"""What several tests share."""

import importlib.util
import os
import shutil
import sqlite3

import pytest

from adyton import SecretStore


def require_program(name):
    """Skip loudly where a program is missing; in CI that is a failure."""
    found = shutil.which(name)
    if found is None:
        missing_component(name, "it is not installed")
    return found


def missing_component(name, why):
    """Skip loudly, and in CI fail, for want of something that a test runs."""
    message = f"{name} is missing: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def require_module(name):
    """Skip loudly where a library is missing; in CI that is a failure."""
    if importlib.util.find_spec(name) is None:
        message = f"the library {name} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


class Place:
    """A store in a folder, opened and closed at will, whose file can be written to between."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "store.db"
        self.root = f"keyfile:{folder / 'master.key'}"

    def open(self, **options):
        options.setdefault("upkeep", False)
        return SecretStore.open(str(self.path), root=self.root, create=True, **options)

    def sql(self, *statements):
        """Run statements on the closed store's file; returns the last one's rows."""
        connection = sqlite3.connect(self.path)
        try:
            rows = []
            for statement in statements:
                text, args = statement if isinstance(statement, tuple) else (statement, ())
                rows = connection.execute(text, args).fetchall()
            connection.commit()
            return rows
        finally:
            connection.close()

    def copy(self):
        """The file's bytes, to be put back later."""
        return self.path.read_bytes()

    def put_back(self, data):
        """Put an older file back."""
        for suffix in ("-wal", "-shm"):
            (self.folder / f"store.db{suffix}").unlink(missing_ok=True)
        self.path.write_bytes(data)
