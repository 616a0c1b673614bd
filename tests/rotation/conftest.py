"""Databases that the tests of this folder share."""

import pytest

import databases


@pytest.fixture(scope="session")
def postgres():
    with databases.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis():
    with databases.redis_server() as server:
        yield server
