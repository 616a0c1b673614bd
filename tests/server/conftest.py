"""One development server for all tests that share it."""

import secrets

import pytest

from servers import TOKEN, Server


@pytest.fixture(scope="session")
def server():
    made = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    yield made
    code, _, err = made.stop()
    assert code == 0, err


@pytest.fixture
def name():
    return "t" + secrets.token_hex(6)
