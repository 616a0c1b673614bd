"""When rotations are due: intervals, cron with time zones, windows, backoff."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.errors import InvalidInput
from adyton.model import from_us, to_us
from adyton.rotationpolicy import RotationPolicy
from adyton.service.rotation import schedule

times = st.integers(1_704_067_200, 1_893_456_000).map(lambda second: second * 1_000_000)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"])


def us(text, zone="UTC"):
    return to_us(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC))


@pytest.mark.parametrize(
    ("cron", "zone", "after", "due"),
    [
        ("0 3 * * *", "UTC", "2026-01-01T02:59", "2026-01-01T03:00"),
        ("0 3 * * sun", "Europe/Berlin", "2026-01-01T00:00", "2026-01-04T03:00"),
        # 02:30 does not exist on the day the clocks go forward: it comes with the jump.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T03:00"),
        # and twice on the day they go back: once is meant.
        ("30 2 25 10 *", "Europe/Berlin", "2026-10-25T00:00", "2026-10-25T02:30"),
    ],
)
def test_cron_expressions_mean_the_time_of_their_zone(cron, zone, after, due):
    """Summer time included; two rotations never come of one time of the clock."""
    policy = RotationPolicy(cron=cron, timezone=zone)
    found = schedule.next_due(policy, us(after, zone))
    assert from_us(found).astimezone(ZoneInfo(zone)).isoformat()[:16] == due
    assert schedule.next_due(policy, found) > found + 3600 * 1_000_000 * 20


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "America/Santiago", "UTC"]
)
@given(hour=st.integers(0, 23), minute=st.integers(0, 59), year=st.integers(2024, 2035))
@settings(max_examples=20, deadline=None)
def test_a_time_of_the_day_comes_once_a_day(zone, hour, minute, year):
    """On each day of a year, also where clocks jump over it or show it twice, and at midnight."""
    policy = RotationPolicy(cron=f"{minute} {hour} * * *", timezone=zone)
    at, days = us(f"{year}-01-01T00:00", zone) - 1, []
    while True:
        after, at = at, schedule.next_due(policy, at)
        assert at > after
        local = from_us(at).astimezone(ZoneInfo(zone))
        if local.year > year:
            break
        days.append(local.date())
        asked = local.replace(hour=hour, minute=minute, second=0, fold=0)
        jumped = asked.astimezone(dt.UTC).astimezone(ZoneInfo(zone)) != asked
        assert local == asked or (
            jumped and dt.timedelta() < local - asked <= dt.timedelta(hours=1)
        )
    first = dt.date(year, 1, 1)
    assert days == [first + dt.timedelta(days=n) for n in range(len(days))]
    assert len(days) in {365, 366}


@pytest.mark.parametrize(
    ("cron", "zone", "day", "hours"),
    [
        # Hours that are there twice count twice for what is every hour, and one that is not, not.
        ("0 * * * *", "Europe/Berlin", "2026-10-25", 25),
        ("0 * * * *", "Europe/Berlin", "2026-03-29", 23),
        ("*/30 * * * *", "Australia/Lord_Howe", "2026-04-05", 49),
        ("*/30 * * * *", "Australia/Lord_Howe", "2026-10-04", 47),
    ],
)
def test_what_is_every_hour_is_every_hour(cron, zone, day, hours):
    """On days that are longer or shorter."""
    policy = RotationPolicy(cron=cron, timezone=zone)
    at = us(f"{day}T00:00", zone) - 1
    end = us(f"{dt.date.fromisoformat(day) + dt.timedelta(days=1)}T00:00", zone)
    count = 0
    while (at := schedule.next_due(policy, at)) < end:
        count += 1
    assert count == hours


@given(times, zones, st.sampled_from(["01:00-05:00", "sat,sun 22:00-02:00", "mon-fri 12:30-13:00",
                                      "fri-mon 00:00-23:59;wed 02:15-02:45",
                                      "sun 02:15-02:45"]))  # fmt: skip
def test_what_is_due_lies_in_a_window_and_after_now(after, zone, window):
    """For any time, zone and window; within nine days and the interval, or a week more."""
    policy = RotationPolicy(every=3600, window=window, timezone=zone)
    due = schedule.next_due(policy, after)
    assert after < due <= after + (16 * 86_400 + 3600) * 1_000_000
    assert schedule.may_begin(policy, due)


@pytest.mark.parametrize(
    ("window", "zone", "after", "due"),
    [
        # The clocks jump over the whole of it: the next one is meant, a week later.
        ("sun 02:15-02:45", "Europe/Berlin", "2026-03-28T12:00", "2026-04-05T02:15"),
        # Over its beginning: it begins with the jump.
        ("sun 02:15-03:45", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T03:00"),
        ("00:00-00:30;sun 05:00-06:00", "America/Santiago", "2026-09-05T12:00", "2026-09-06T05:00"),
    ],
)
def test_windows_where_clocks_are_put_forward(window, zone, after, due):
    """What is due lies in a window by the clock of its zone."""
    policy = RotationPolicy(every=60, grace=0, window=window, timezone=zone)
    assert schedule.next_due(policy, us(after, zone)) == us(due, zone)
    assert schedule.may_begin(policy, us(due, zone))


@given(times, st.integers(1, 10**8), st.floats(0, 1))
def test_jitter_of_an_interval_is_small_and_later(after, every, spread):
    """Up to 5 % and 300 seconds, never earlier than the interval."""
    due = schedule.next_due(RotationPolicy(every=every, grace=0), after, spread) - after
    assert every * 1_000_000 <= due <= every * 1_000_000 + min(every * 50_000, 300_000_000)


def test_pauses_double_up_to_an_hour():
    """With a quarter of jitter either way, also after very many failures."""
    for attempts, seconds in ((1, 30), (2, 60), (5, 480), (9, 3600), (10**6, 3600)):
        low, high = (schedule.backoff_us(attempts, spread) / 1e6 for spread in (0, 1))
        assert low == seconds * 0.75
        assert high == seconds * 1.25


@pytest.mark.parametrize(
    "bad",
    [
        {"cron": "* * * *"}, {"cron": "61 * * * *"}, {"cron": "0 0 31 2 *"}, {"cron": "x"},
        {"every": 60, "cron": "0 0 * * *"}, {"every": -1}, {"every": 60, "grace": 60},
        {"timezone": "Mars/Olympus"}, {"timezone": "../../etc/passwd"}, {"timezone": ""},
        {"window": "25:00-26:00"}, {"window": "01:00-01:00"}, {"window": "someday 01:00-02:00"},
        {"window": "01:00"}, {"retries": 21}, {"grace": -1}, {"settings": {"a": "b" * 2000}},
    ],
)  # fmt: skip
def test_what_can_not_be_meant_is_refused(bad):
    """Each by an error of ours, when the policy is set and not when it is due."""
    policy = RotationPolicy(**({"grace": 0} | bad))
    with pytest.raises(InvalidInput):
        policy.check()
        schedule.check(policy, us("2026-01-01T00:00"))


def test_without_a_time_nothing_is_due():
    """Such a secret is rotated on request."""
    assert schedule.next_due(RotationPolicy(), us("2026-01-01T00:00")) == 0
