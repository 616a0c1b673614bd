"""Secret sharing: the field, the vectors, and what some shares tell of the secret."""

import ast
import inspect
import itertools
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.crypto import shamir
from adyton.crypto.secretbytes import SecretBytes
from roots import shamir_vectors as naive

VECTORS = Path(__file__).parents[2] / "vectors" / "shamir"
CASES = json.loads((VECTORS / "v1.json").read_text())["cases"]


def split(secret, threshold, count, coefficients):
    with SecretBytes(secret) as key, SecretBytes(coefficients) as random:
        return [one.reveal() for one in shamir.split(key, threshold, count, random)]


def combine(points):
    return shamir.combine([(x, SecretBytes(y)) for x, y in points]).reveal()


def test_the_field_is_that_of_aes():
    """The examples of FIPS 197, section 4.2, and every product and inverse by another way."""
    assert shamir.multiply(0x57, 0x83) == 0xC1
    assert shamir.multiply(0x57, 0x13) == 0xFE
    for a, b in itertools.product(range(256), repeat=2):
        assert shamir.multiply(a, b) == naive.multiply(a, b)
    assert [shamir.inverse(a) for a in range(1, 256)] == [naive.divide(1, a) for a in range(1, 256)]
    assert shamir.inverse(0) == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['threshold']}of{case['count']}")
def test_the_vectors(case):
    """Shares are those of other code, and each choice of enough of them gives the key."""
    key = bytes.fromhex(case["key"])
    made = split(key, case["threshold"], case["count"], bytes.fromhex(case["coefficients"]))
    assert made == [bytes.fromhex(one["hex"])[10:42] for one in case["shares"]]
    for chosen in itertools.combinations(enumerate(made, 1), case["threshold"]):
        assert combine(chosen) == key


def test_shares_of_openbao_combine():
    """Shares that OpenBao has made: all choices of enough of them give one and the same key."""
    for known in json.loads((VECTORS / "openbao.json").read_text())["sets"]:
        shares = [bytes.fromhex(text) for text in known["shares"]]
        points = [(share[-1], share[:-1]) for share in shares]
        keys = {combine(some) for some in itertools.combinations(points, known["threshold"])}
        assert len(keys) == 1
        assert combine(points) in keys
        assert {combine([one]) for one in points}.isdisjoint(keys)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_any_k_make_the_secret_and_the_naive_way_agrees(data):
    """For any numbers, secret and choice of k or more shares; in any order."""
    count = data.draw(st.integers(1, 12))
    threshold = data.draw(st.integers(1, count))
    size = data.draw(st.integers(1, 33))
    secret = data.draw(st.binary(min_size=size, max_size=size))
    random = data.draw(st.binary(min_size=size * (threshold - 1), max_size=size * (threshold - 1)))
    made = split(secret, threshold, count, random)
    rows = [random[at : at + size] for at in range(0, len(random), size)]
    assert made == [naive.share(secret, rows, x) for x in range(1, count + 1)]
    points = data.draw(st.permutations(list(enumerate(made, 1))))
    some = points[: data.draw(st.integers(threshold, count))]
    assert combine(some) == naive.combine(some) == secret


def test_fewer_shares_are_uniform_whatever_the_secret():
    """Over all coefficients, k-1 shares take each value equally often: they tell nothing at all."""
    for secret in (0x00, 0x01, 0x53, 0xFF):
        seen = Counter()
        for random in range(256):
            seen[split(bytes([secret]), 2, 3, bytes([random]))[1]] += 1
        assert len(seen) == 256
        assert set(seen.values()) == {1}
    # Two of three needed, in a subfield's worth of coefficients: each pair once for each secret.
    pairs = {
        secret: Counter(
            tuple(split(bytes([secret]), 3, 3, bytes([a, b]))[:2])
            for a in range(0, 256, 5)
            for b in range(256)
        )
        for secret in (0x00, 0xA7)
    }
    assert all(set(found.values()) == {1} for found in pairs.values())


def test_too_few_shares_make_another_value():
    """k-1 shares, and k shares of which one is changed, do not make the secret."""
    for case in CASES[1:]:
        made = [(x, bytes.fromhex(one["hex"])[10:42]) for x, one in enumerate(case["shares"], 1)]
        key = bytes.fromhex(case["key"])
        assert combine(made[: case["threshold"] - 1]) != key
        some = made[: case["threshold"]]
        some[0] = (some[0][0], bytes([some[0][1][0] ^ 1]) + some[0][1][1:])
        assert combine(some) != key


@pytest.mark.parametrize(
    ("threshold", "count", "random"),
    [(0, 1, 0), (2, 1, 32), (1, 256, 0), (2, 3, 31), (2, 3, 33), (1, 1, 1)],
)
def test_numbers_that_do_not_fit_are_refused(threshold, count, random):
    """Too many, too few, or another amount of randomness."""
    with pytest.raises(ValueError):
        split(bytes(32), threshold, count, bytes(random))


@pytest.mark.parametrize("points", [[], [(0, b"a")], [(256, b"a")], [(1, b"a"), (1, b"b")],
                                    [(1, b"a"), (2, b"bb")]])  # fmt: skip
def test_points_that_do_not_fit_are_refused(points):
    """None, out of range, twice, of two sizes."""
    with pytest.raises(ValueError):
        combine(points)


def test_nothing_secret_chooses_a_branch_or_a_place():
    """In the one function that touches secret bytes: no condition, and no index but the loop's."""
    tree = ast.parse(inspect.getsource(shamir._add_product))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.If | ast.IfExp | ast.While | ast.BoolOp | ast.Compare)
        if isinstance(node, ast.Subscript):
            assert isinstance(node.slice, ast.Name)
            assert node.slice.id == "at"
    source = inspect.getsource(shamir.split) + inspect.getsource(shamir.combine)
    assert "multiply(weight" in source  # products of public numbers alone
    assert "multiply(view" not in source


def test_the_largest_set_is_made():
    """255 shares, all needed."""
    with SecretBytes(b"\x5a") as key, SecretBytes.random(254) as random:
        made = shamir.split(key, 255, 255, random)
        assert shamir.combine(list(enumerate(made, 1))).equals(b"\x5a")
