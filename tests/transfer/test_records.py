"""The portable values check themselves, and never show themselves."""

import pytest

from adyton import transfer
from adyton.errors import InvalidInput, InvalidName
from adyton.model import State
from adyton.transfer import PortableVersion, single_version
from adyton.transfer.records import MAX_US
from transfer.helpers import CANARY, secret


def version(number=1, us=0, by="", state=State.LIVE, kind="text/plain", value=b"x"):
    return PortableVersion(number, us, by, state, kind, value)


@pytest.mark.parametrize(
    "fields",
    [
        {"tags": ("",)},
        {"tags": tuple(map(str, range(65)))},
        {"attributes": {"": "x"}},
        {"attributes": {"a": "\ud800"}},
        {"rotation": {"a": "x" * 1025}},
        {"max_versions": -1},
        {"max_versions": 1001},
        {"created_us": -1},
        {"updated_us": MAX_US + 1},
        {"expires_us": -1},
        {"versions": ()},
        {"versions": (version(2), version(2))},
        {"versions": (version(2), version(1))},
        {"versions": (version(0),)},
        {"versions": (version(2**53),)},
        {"versions": (version(us=-1),)},
        {"versions": (version(us=MAX_US + 1),)},
        {"versions": (version(by="x" * 513),)},
        {"versions": (version(by="\ud800"),)},
        {"versions": (version(kind=""),)},
        {"versions": (version(kind="x" * 129),)},
        {"versions": (version(kind="t\u00e9xt"),)},
        {"versions": (version(value=None),)},
        {"versions": (version(state=State.DESTROYED),)},
        {"versions": (version(state=State.DELETED, value=None),)},
    ],
)
def test_a_secret_that_breaks_a_rule_can_not_be_made(fields):
    """Each rule of a secret and its versions holds when it is made."""
    with pytest.raises(InvalidInput):
        secret(**fields)


@pytest.mark.parametrize("name", ["", "/a", "a//b", "..", "a\n", "x" * 513, "\ud800"])
def test_a_bad_name_can_not_be_made(name):
    """A name that the store would refuse is refused here."""
    with pytest.raises(InvalidName):
        secret(name)


def test_tags_and_maps_are_put_in_order():
    """Tags are sorted and come once; attributes and rotation are ordered by key."""
    made = secret(
        tags=("b", "a", "b"), attributes={"b": "1", "a": "2"}, rotation={"y": "", "x": ""}
    )
    assert made.tags == ("a", "b")
    assert list(made.attributes) == ["a", "b"]
    assert list(made.rotation) == ["x", "y"]


def test_a_repr_shows_no_name_and_no_value():
    """Neither class shows a name, value, tag, attribute or actor."""
    made = secret(
        CANARY,
        tags=(CANARY,),
        attributes={CANARY: CANARY},
        versions=(version(by=CANARY, value=CANARY.encode()),),
    )
    assert repr(made) == str(made) == "<PortableSecret versions=1>"
    assert repr(made.current) == "<PortableVersion 1 live>"
    assert CANARY not in f"{[made]}{made.versions}"


def test_a_single_version_is_live_and_current():
    """A format without history gives version 1 with the time of the import throughout."""
    made = single_version("a", b"x", "text/plain", now_us=7, created_by="cli:a")
    assert made.current == version(us=7, by="cli:a")
    assert (made.created_us, made.updated_us, made.max_versions) == (7, 7, 0)


def test_the_public_names_are_pinned():
    """The package offers these names and no others."""
    assert transfer.__all__ == [
        "PortableSecret",
        "PortableVersion",
        "TransferLimits",
        "single_version",
    ]
