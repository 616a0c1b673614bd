"""Token buckets against a simple model, and against whoever changes keys to be new each time."""

import random
import statistics
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adyton.errors import ConfigurationError
from adyton.service.quota.buckets import SECOND_NS, Buckets, Rate
from adyton.service.quota.networks import network_of
from adyton.service.quota.rates import WIDE, RequestLimits, RequestRates


def went(buckets, key, now):
    if buckets.wait(key, now):
        return False
    buckets.take(key, now)
    return True


class Model:
    """A bucket as one writes it down: tokens that come back, in exact fractions."""

    def __init__(self, gap, burst):
        self.gap, self.burst = gap, burst
        self.tokens_ns, self.at = burst * gap, 0

    def went(self, now):
        self.tokens_ns = min(self.burst * self.gap, self.tokens_ns + now - self.at)
        self.at = now
        if self.tokens_ns < self.gap:
            return False
        self.tokens_ns -= self.gap
        return True


@given(
    st.integers(1, 1_000),
    st.integers(1, 20),
    st.lists(st.integers(0, 3 * SECOND_NS), min_size=1, max_size=60),
)
def test_a_bucket_gives_what_the_model_gives(per_second, burst, steps):
    """At any times, to the nanosecond."""
    rate = Rate(per_second, burst)
    buckets, model, now = Buckets(rate), Model(rate.gap_ns, burst), 0
    for step in steps:
        now += step
        assert went(buckets, "k", now) == model.went(now)


@given(st.integers(1, 1_000), st.integers(1, 20), st.integers(0, 50))
def test_the_wait_that_is_told_is_exact(per_second, burst, more):
    """After it a token is there; a nanosecond before, it is not."""
    buckets = Buckets(Rate(per_second, burst))
    for _ in range(burst + more):
        buckets.take("k", 5)
    wait = buckets.wait("k", 5)
    assert wait > 0
    assert buckets.wait("k", 5 + wait - 1) == 1
    assert buckets.wait("k", 5 + wait) == 0


def test_new_keys_give_no_fresh_allowance():
    """Cycling through a million keys gets what the kept and the shared buckets hold, not more."""
    kept, burst = 100, 5
    buckets = Buckets(Rate(1, burst), keys=kept)
    got = sum(went(buckets, f"attacker-{n}", 0) for n in range(100_000))
    assert len(buckets) <= kept
    assert got <= kept + 1_024 * burst
    # From then on nothing comes back faster than the shared buckets fill.
    second = sum(went(buckets, f"later-{n}", SECOND_NS) for n in range(100_000))
    assert second <= kept + 1_024
    assert len(buckets) <= kept


def test_a_bucket_that_is_not_full_is_never_forgotten():
    """Whoever has used theirs up stays so while a flood of keys passes."""
    buckets = Buckets(Rate(0.01, 3), keys=50)
    while went(buckets, "spent", 0):
        pass
    for n in range(10_000):
        went(buckets, f"k{n}", n)
        assert not went(buckets, "spent", n)


def test_what_was_shared_is_taken_along():
    """A key that gets a bucket of its own begins with what was left in the shared one."""
    buckets = Buckets(Rate(1, 10), keys=1)
    buckets.take("first", 0)
    while went(buckets, "newcomer", 0):  # in a shared bucket: the one that is kept is in use
        pass
    assert len(buckets) == 1
    now = SECOND_NS + 1  # the first one's is full again, and makes room
    taken = sum(went(buckets, "newcomer", now) for _ in range(20))
    assert taken == 1
    assert len(buckets) == 1


def test_rates_out_of_range_are_refused():
    """With an error that says so."""
    for per_second, burst in ((0, 1), (-1, 1), (1, 0), (1e10, 1), (float("nan"), 1)):
        with pytest.raises(ConfigurationError):
            Rate(per_second, burst)


def test_networks():
    """One subscriber, the wider network, and the lane of each kind of address."""
    assert network_of("203.0.113.9") == ("203.0.113.9", "203.0.113", "203.0.113.9")
    assert network_of("::ffff:203.0.113.9") == network_of("203.0.113.9")
    one, other = network_of("2001:db8:1:2::1"), network_of("2001:db8:1:2:ffff::9")
    assert one == other
    assert network_of("2001:db8:1:3::1").own != one.own
    assert network_of("2001:db8:1:3::1").wide == one.wide == one.lane
    assert network_of("").own == network_of("x" * 1_000).own == "?"


def test_ipv6_prefixes_are_not_a_way_around():
    """Whoever has a /48 asks from its 65,536 /64s: eight times one's allowance, not 65,536."""
    limits = RequestLimits(RequestRates(network_per_second=1, network_burst=10))
    let_in = sum(not limits.stranger(network_of(f"2001:db8:7:{n:x}::1"), 0) for n in range(5_000))
    assert let_in == WIDE * 10
    assert not limits.stranger(network_of("2001:db8:8::1"), 0)


def test_all_limits_hold_together_and_a_refusal_costs_nothing():
    """Token, user and everybody: the tightest decides, and only what is let in is counted."""
    rates = RequestRates(
        all_per_second=1, all_burst=6, user_per_second=1, user_burst=4,
        token_per_second=1, token_burst=2,
    )  # fmt: skip
    limits = RequestLimits(rates)
    assert [limits.known("ann", "t1", 0) == 0 for _ in range(50)] == [True] * 2 + [False] * 48
    assert [limits.known("ann", "t2", 0) == 0 for _ in range(50)] == [True] * 2 + [False] * 48
    assert limits.known("ann", "t3", 0) == SECOND_NS
    assert limits.known("bob", "t4", 0) == 0
    assert limits.known("bob", "t5", 0) == 0
    assert limits.known("cy", "t6", 0) == SECOND_NS


def test_far_from_a_limit_a_decision_is_cheap():
    """All three limits on: some hundred nanoseconds; the bound leaves room for a noisy machine."""
    rates = RequestRates(all_per_second=1e6, user_per_second=1e6, token_per_second=1e6)
    limits = RequestLimits(rates)
    names = [(f"user{n}", f"token{n}") for n in range(1_000)]
    random.Random(7).shuffle(names)
    rounds = []
    for turn in range(15):
        started = time.perf_counter()
        for at, (user, token) in enumerate(names):
            limits.known(user, token, SECOND_NS * turn + at * 1_000)
        rounds.append((time.perf_counter() - started) / len(names))
    assert min(rounds) < 3e-6
    assert statistics.median(rounds) < 20e-6
