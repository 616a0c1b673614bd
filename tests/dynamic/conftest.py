"""A PostgreSQL that the tests of this folder share."""

import pytest

import databases


@pytest.fixture(scope="session")
def postgres():
    with databases.postgres() as server:
        yield server
