"""A server that is killed between commit and delivery, and receivers that fail meanwhile."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adyton.service.notices.room import NoticeOptions
from hookreceiver import Receiver
from support import Place

WORKER = Path(__file__).with_name("worker.py")


def drain(place, options, receiver):
    """Deliver all that waits."""
    receiver.answers = []
    with place.open(notices=options) as store:
        until = time.monotonic() + 60
        while store.webhooks.list("u")[0].waiting:
            assert time.monotonic() < until
            store.notices.deliver()
            time.sleep(0.05)


def campaign(tmp_path, kills):
    place = Place(tmp_path)
    receiver = Receiver()
    try:
        options = NoticeOptions(("127.0.0.0/8",), retry_seconds=0.05)
        with place.open(notices=options) as store:
            store.webhooks.add("u", receiver.url)
        for kill in range(kills):
            if kill % 8 == 7:  # a user keeps so many notices and no more
                drain(place, options, receiver)
            with receiver.lock:
                receiver.answers = random.choices([200, 200, 500, "drop", 0.7], k=6)
            with subprocess.Popen(
                [sys.executable, WORKER, tmp_path, receiver.url], stdout=subprocess.PIPE, text=True
            ) as worker:
                assert worker.stdout.readline() == "ready\n"
                time.sleep(random.uniform(0.05, 0.6))
                worker.kill()
        drain(place, options, receiver)
        with place.open(notices=options) as store:
            names = {meta.name for meta in store.list_secrets("u", limit=100_000)}
            (info,) = store.webhooks.list("u")
            store.audit.verify()
    finally:
        receiver.close()
    return names, receiver.got, info


def check(names, got, info):
    """Each secret's notice came, none of what was not committed, in order, duplicates alike."""
    subjects = [one.document["data"]["subject"] for one in got]
    assert set(subjects) == names
    first_seen = list(dict.fromkeys(one.id for one in got))
    assert first_seen == sorted(first_seen)
    assert info.given_up == 0
    assert len({(one.id, one.body) for one in got}) == len(first_seen) == len(names)


def test_every_notice_arrives_at_least_once_whatever_is_killed(tmp_path):
    """Eight kills at random moments; what was committed is what arrives."""
    names, got, info = campaign(tmp_path, kills=8)
    check(names, got, info)
    print("notices, messages:", len(names), len(got))


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_long_campaign(tmp_path):
    """A hundred kills."""
    check(*campaign(tmp_path, kills=100))
