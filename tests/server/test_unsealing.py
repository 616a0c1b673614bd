"""The shares at a sealed server, by an injected clock: how long, from where, how much."""

import sys

import pytest

from adyton.crypto import shares
from adyton.errors import InvalidInput, LimitExceeded
from adyton.server.seal.unsealing import KEPT_SECONDS, Unsealing


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def made():
    key, known, found = shares.new_set(3, 5, b"s" * 8)
    key.wipe()
    clock = Clock()
    return Unsealing([known], clock), clock, known, [share.hex().encode() for share in found]


def test_shares_are_kept_for_a_day_after_the_last(made):
    """A second share within it keeps the first; behind it both are gone, with the nonce."""
    unsealing, clock, known, texts = made
    assert unsealing.enter(texts[0], "10.0.0.1") is None
    clock.now += KEPT_SECONDS - 1
    assert unsealing.enter(texts[1], "10.0.0.2") is None
    clock.now += KEPT_SECONDS - 1
    assert unsealing.progress() == 2
    clock.now += 2
    assert (unsealing.progress(), unsealing.nonce) == (0, "")
    assert [unsealing.enter(text, "10.0.0.1") for text in texts[2:]] == [None, None, known]


def test_wrong_shares_slow_their_network_and_never_a_right_one(made):
    """The sixth wrong one from a network is 429 for a while; right ones from there get in."""
    unsealing, clock, known, texts = made
    wrong = texts[0][:-2] + (b"00" if texts[0][-2:] != b"00" else b"01")
    for _ in range(5):
        with pytest.raises(InvalidInput):
            unsealing.enter(wrong, "10.0.0.1")
    with pytest.raises(LimitExceeded):
        unsealing.enter(wrong, "10.0.0.1")
    with pytest.raises(InvalidInput):
        unsealing.enter(wrong, "10.0.0.2")
    assert unsealing.enter(texts[0], "10.0.0.1") is None
    clock.now += 2
    with pytest.raises(InvalidInput):
        unsealing.enter(wrong, "10.0.0.1")
    assert unsealing.wrong == 8
    for text in texts[1:3]:
        unsealing.enter(text, "10.0.0.1")
    assert unsealing.sources(known) == [f"share {at} from 10.0.0.1" for at in (1, 2, 3)]


def test_a_reset_leaves_what_others_have_entered(made):
    """By address, and by /64 for IPv6; a share is its first sender's."""
    unsealing, _, _, texts = made
    unsealing.enter(texts[0], "2001:db8::1")
    unsealing.enter(texts[1], "10.0.0.1")
    for address in ("10.0.0.2", "2001:db8:0:1::1", "nonsense"):
        unsealing.take_back(address)
        assert unsealing.progress() == 2
    with pytest.raises(InvalidInput, match="entered already"):
        unsealing.enter(texts[1], "10.0.0.9")
    unsealing.take_back("10.0.0.9")
    assert unsealing.progress() == 2
    unsealing.take_back("2001:db8::ffff")
    assert unsealing.progress() == 1
    unsealing.take_back("10.0.0.1")
    assert (unsealing.progress(), unsealing.nonce) == (0, "")


def test_a_flood_from_everywhere_holds_little_memory(made):
    """A hundred thousand wrong shares from as many networks: bounded, nothing of them is kept."""
    unsealing, _, _, texts = made
    wrong = texts[0][:20] + b"00" * 37
    for at in range(100_000):
        address = f"{at >> 16 & 255}.{at >> 8 & 255}.{at & 255}.1"
        with pytest.raises(InvalidInput):
            unsealing.enter(wrong[:30], address)
    held = unsealing._throttle._failures
    assert len(held) <= 50_000
    assert sys.getsizeof(held) < 10_000_000
    assert unsealing.progress() == 0
    assert not unsealing._from
