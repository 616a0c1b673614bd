"""Rates hold for whoever has a valid token, from the first request on."""

from types import SimpleNamespace

import pytest

from adyton.config import Configuration, RateSettings
from adyton.server.admission import Admission, Visit
from adyton.service.access.records import Token


@pytest.mark.parametrize("kind", ["all", "user", "token"])
def test_a_known_token_is_held_to_each_rate(kind):
    """As many as the burst says are let in; then it is told when to come again."""
    rates = RateSettings(**{f"{kind}_per_second": 0.01, f"{kind}_burst": 3})
    session = SimpleNamespace(space=SimpleNamespace(user="alice"), ident="a" * 64, token=Token(""))
    admission = Admission(lambda _: session, Configuration(rates=rates))
    found = [
        admission.visit("GET", "v1/secret/data/a", "192.0.2.1:443", {"x-vault-token": "t"})
        for _ in range(5)
    ]
    assert [isinstance(each, Visit) for each in found] == [True] * 3 + [False] * 2
    assert all(90 <= wait <= 110 for wait in found[3:])
