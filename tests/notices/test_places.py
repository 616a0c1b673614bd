"""Where messages may go: nobody reaches into the operator's network by naming an address."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adyton.errors import ConfigurationError, InvalidInput, ServerUnavailable
from adyton.outbound import place_outside
from adyton.service.notices.room import NoticeOptions
from adyton.sinks.webhook import WebhookSender
from hookreceiver import Receiver

INSIDE = [
    "127.0.0.1", "127.255.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "239.1.1.1", "192.0.2.1",
    "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1",
    "ff0e::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001::1",
]  # fmt: skip
OUTSIDE = ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:1.1.1.1"]


def resolving(monkeypatch, *addresses):
    """Let every name stand for these addresses; returns how often it was asked."""
    asked = []

    def getaddrinfo(host, port, **_):
        asked.append(host)
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port))
            for a in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("address", INSIDE)
def test_places_inside_are_refused(monkeypatch, address):
    """Private, loopback, link-local, shared, multicast, reserved, mapped, carried: by name too."""
    resolving(monkeypatch, address)
    with pytest.raises(InvalidInput):
        place_outside("name.test", 443, ())
    resolving(monkeypatch, "1.1.1.1", address)  # one good address does not help a bad one
    with pytest.raises(InvalidInput):
        place_outside("name.test", 443, ())


@pytest.mark.parametrize("address", [*INSIDE, "127.1", "2130706433", "0x7f.1"])
def test_an_address_that_can_not_be_sent_to_is_refused_when_it_is_named(address):
    """Nobody waits for notices that can't come, however the address is written."""
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(InvalidInput, match="not one of the internet"):
        WebhookSender(1.0).check(f"https://{host}/hook")


def test_a_name_is_not_looked_up_when_it_is_named(monkeypatch):
    """What it stands for is asked when a message is sent, and then again."""
    asked = []
    real = socket.getaddrinfo

    def getaddrinfo(host, port, **options):
        if not options.get("flags", 0) & socket.AI_NUMERICHOST:
            asked.append(host)
        return real(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert WebhookSender(1.0).check("https://localhost/hook") == "https://localhost/hook"
    assert asked == []
    assert WebhookSender(1.0, ["10.0.0.0/8"]).check("https://10.0.0.1/hook")


@pytest.mark.parametrize("address", OUTSIDE)
def test_places_of_the_internet_are_taken(monkeypatch, address):
    """What is looked at is what is connected to."""
    resolving(monkeypatch, address)
    assert place_outside("name.test", 443, ()) == (ipaddress.ip_address(address), False)


@given(st.ip_addresses(v=4))
def test_a_mapped_address_counts_as_what_it_is(address):
    """::ffff:a.b.c.d is taken if and only if a.b.c.d is."""

    def taken(text):
        try:
            place_outside(text, 443, ())
        except InvalidInput:
            return False
        return True

    assert taken(str(address)) == taken(f"::ffff:{address}")


def test_allowed_networks_are_allowed_and_no_others(monkeypatch):
    """The operator's word, for both kinds of addresses."""
    allowed = [ipaddress.ip_network(text) for text in ("10.1.0.0/16", "fd00::/16")]
    for address in ("10.1.2.3", "fd00::7", "::ffff:10.1.2.3"):
        resolving(monkeypatch, address)
        assert place_outside("x", 443, allowed)[1] is True
    for address in ("10.2.0.1", "fd01::1", "127.0.0.1"):
        resolving(monkeypatch, address)
        with pytest.raises(InvalidInput):
            place_outside("x", 443, allowed)
    with pytest.raises(ConfigurationError):
        NoticeOptions(networks=("10.1.0.0/99",))


def test_a_name_that_is_not_known_is_told_apart(monkeypatch):
    """As a place that can't be reached."""

    def getaddrinfo(*_, **__):
        raise socket.gaierror("canary")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(ServerUnavailable) as caught:
        place_outside("name.test", 443, ())
    assert "canary" not in str(caught.value)


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433"])
def test_every_spelling_of_this_machine_is_refused(receiver, host):
    """No connection is made, and the answer does not say what is there."""
    sender = WebhookSender(1.0)
    for scheme in ("https", "http"):
        url = f"{scheme}://{host}:{receiver.port}/"
        answer = sender.post(url, {}, b"{}")
        assert not answer.delivered
        assert answer.status == 0
        shut = sender.post(f"{scheme}://{host}:1/", {}, b"{}")
        assert answer.error == shut.error  # whether somebody listens is not told
    assert receiver.got == []


def test_the_connection_goes_to_what_was_looked_at(monkeypatch, receiver):
    """A name that would stand for another address a moment later is asked once alone."""
    asked = resolving(monkeypatch, "127.0.0.1")
    sender = WebhookSender(2.0, ("127.0.0.1/32",))
    answer = sender.post(f"http://name.test:{receiver.port}/x?y=1", {"webhook-id": "1"}, b"{}")
    assert answer == (True, 204, "")
    assert asked == ["name.test"]
    (got,) = receiver.got
    assert got.path == "/x?y=1"
    assert got.headers["host"] == f"name.test:{receiver.port}"


def test_http_goes_to_allowed_networks_alone(monkeypatch):
    """Across the internet messages are told by TLS only."""
    resolving(monkeypatch, "1.1.1.1")
    answer = WebhookSender(1.0, ("127.0.0.1/32",)).post("http://name.test/", {}, b"{}")
    assert answer.error == "messages cross the internet by https alone"
    with pytest.raises(InvalidInput):
        WebhookSender(1.0).check("http://name.test/")


def test_proxies_of_the_environment_are_not_used(monkeypatch, receiver):
    """A proxy would look up the name itself, and connect to anything."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    sender = WebhookSender(2.0, ("127.0.0.1/32",))
    assert sender.post(receiver.url, {}, b"{}").delivered


def test_a_redirect_is_not_followed(receiver):
    """Wherever it points to, nobody goes there."""
    other = Receiver()
    try:
        receiver.usual, receiver.location = 307, other.url
        sender = WebhookSender(2.0, ("127.0.0.1/32",))
        assert sender.post(receiver.url, {}, b"{}") == (False, 307, "it answers with 307")
        assert other.got == []
    finally:
        other.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://user:canary@example.org/x",
        "https://canary@example.org/x",
        "https://example.org/x#canary",
        "https://example.org:0/x",
        "ftp://example.org/x",
        "https:///x",
    ],
)
def test_addresses_that_are_none(url):
    """A user or a fragment in it would go nowhere, or into lists and records."""
    with pytest.raises(InvalidInput) as caught:
        WebhookSender(1.0).check(url)
    assert "canary" not in caught.value.message + caught.value.hint
