"""Which server and which token a client uses, and what it refuses to send where."""

import os

import pytest

from adyton import Client
from adyton.client import settings
from adyton.client.lease import Lease
from adyton.errors import ConfigurationError, InvalidInput

HERE = "http://127.0.0.1:8200"


def test_arguments_come_before_the_environment_and_that_before_the_file(monkeypatch):
    """Address and token are found in this order; without an address there is no client."""
    with pytest.raises(ConfigurationError, match="no server"):
        Client()
    monkeypatch.setenv("ADYTON_ADDR", HERE + "/")
    assert settings.find(None, None).token.text == ""
    settings.write_token_file(HERE, "from-file")
    assert settings.find(None, None).token.text == "from-file"
    monkeypatch.setenv("ADYTON_TOKEN", "from-env")
    assert settings.find(None, None).token.text == "from-env"
    assert settings.find(None, "given").token.text == "given"
    assert settings.find(None, "").token.text == ""
    assert settings.find("http://[::1]:1", "t").base == "http://[::1]:1"
    assert "from-env" not in repr(settings.find(None, None))


def test_the_token_file_is_private_and_for_one_server():
    """Open to others, damaged, linked or for another server: it is refused, and never sent."""
    settings.write_token_file(HERE, "t")
    path = settings.token_file()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigurationError, match="another server"):
        settings.find("http://127.0.0.1:8201", None)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="0640"):
        settings.find(HERE, None)
    path.chmod(0o600)
    path.write_text("only-one-line")
    with pytest.raises(ConfigurationError, match="damaged"):
        settings.find(HERE, None)
    path.rename(path.with_name("elsewhere"))
    os.symlink(path.with_name("elsewhere"), path)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        settings.find(HERE, None)
    assert settings.remove_token_file()
    assert not settings.remove_token_file()


@pytest.mark.parametrize(
    "address",
    ["", "http://example.org", "http://127.0.0.1.example.org", "ftp://127.0.0.1", "127.0.0.1:8200",
     "http://user:pass@127.0.0.1", "http://127.0.0.1?x=1", "http://127.0.0.1:99999", "https://",
     "http://0.0.0.0", "http://127.0.0.1#@example.org"],
)  # fmt: skip
def test_addresses_that_a_token_is_not_sent_to(address):
    """Plain HTTP goes to this machine alone, and odd addresses nowhere; none is quoted."""
    with pytest.raises((InvalidInput, ConfigurationError)) as caught:
        Client(address, "t")
    assert "example" not in str(caught.value)


def test_plain_http_elsewhere_wants_to_be_allowed():
    """Only an explicit word lets a token cross the network in the clear."""
    with Client("http://example.org:8200", "t", allow_http=True) as client:
        assert client.address == "http://example.org:8200"


def test_tokens_and_certificates_that_cannot_be_used(tmp_path):
    """A token that would break out of its header, and files that can't be read, are refused."""
    for token in ("a\r\nX-Other: 1", "a b\n", "\x00", "tökén"):
        with pytest.raises(InvalidInput) as caught:
            Client(HERE, token)
        assert token.strip() not in str(caught.value)
    missing = tmp_path / "none.pem"
    for options in ({"ca": missing}, {"cert": missing}, {"cert": (missing, missing)}):
        with pytest.raises(ConfigurationError):
            Client("https://127.0.0.1:8200", "t", **options)
    for options in ({"timeout": 0}, {"retries": -1}, {"retry_seconds": 0}):
        with pytest.raises(InvalidInput):
            Client(HERE, "t", **options)


def test_a_token_is_renewed_in_the_last_third_of_its_time():
    """Not before two thirds are over, never unless wanted, renewable and with an end."""
    clock = [0.0]
    lease = Lease(True, lambda: clock[0])
    assert lease.unknown
    lease.learn(90, renewable=True)
    clock[0] = 59
    assert not lease.due
    clock[0] = 61
    assert lease.due
    lease.pause()
    assert not lease.due
    clock[0] = 72
    assert lease.due
    for ttl, renewable in ((0, True), (90, False)):
        lease.learn(ttl, renewable=renewable)
        clock[0] += 1_000
        assert not lease.due
    unwanted = Lease(False, lambda: clock[0])
    unwanted.learn(1, renewable=True)
    clock[0] += 1_000
    assert not unwanted.due
    assert not unwanted.unknown


def test_the_token_file_tells_the_namespace():
    """What is named comes first; a file of two lines, as they were, means the operator's."""
    settings.write_token_file(HERE, "t", "alice")
    assert settings.find(HERE, None).namespace == "alice"
    assert settings.find(HERE, None, namespace="bob").namespace == "bob"
    assert settings.find(HERE, "given").namespace == ""
    settings.write_token_file(HERE, "t")
    assert settings.token_file().read_text() == f"t\n{HERE}\n"
    assert settings.find(HERE, None).namespace == ""
