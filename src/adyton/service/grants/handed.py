"""Who could read what was handed out: shares, one-time links and wrapped responses."""

from collections.abc import Iterable, Iterator

from adyton.grantvalues import Reader
from adyton.model import State, from_us
from adyton.ports import Rows
from adyton.service import secretmeta
from adyton.service.grants.actors import Wrapped
from adyton.service.grants.paths import covers, touches
from adyton.service.grants.reach import Reach
from adyton.service.linkrecords import LINKS, Link
from adyton.service.secretmeta import Version
from adyton.service.sharing.records import GIVEN, Given
from adyton.service.userkeys import UserKeys


async def handed(
    rows: Rows, keys: UserKeys, wrapped: Iterable[Wrapped], reach: Reach, now_us: int
) -> list[Reader]:
    """All of it that is in force now.

    Args:
        rows: The store.
        keys: The owner's keys.
        wrapped: Responses that wait for whoever has their tokens.
        reach: What is asked about.
        now_us: The time.
    """
    found: list[Reader] = []
    path = reach.path
    for ident, given in (await GIVEN.all(rows, keys)).items():
        if given.open_at(now_us) and _meets(given.name, path):
            version = await _version(rows, keys, given)
            if not given.version or version is not None:
                found.append(_shared(ident, given, version, now_us))
    links = (await LINKS.all(rows, keys)).values()
    found += [
        _linked(link)
        for link in links
        if link.secret and link.expires_us > now_us and _meets(link.secret, path)
    ]
    return [*found, *_wrapped(wrapped, reach)]


def _meets(name: str, path: str) -> bool:
    return touches(name, path) if path.endswith("/") else covers(name, path)


async def _version(rows: Rows, keys: UserKeys, given: Given) -> Version | None:
    """The version that a share is of; None for one of all, or of one that is gone for good."""
    if not given.version:
        return None
    row = await rows.metadata(keys.user, keys.index(given.name))
    found = None if row is None else secretmeta.open_meta(keys, row).at(given.version)
    return None if found is None or found.state == State.DESTROYED else found


def _shared(ident: str, given: Given, version: Version | None, now_us: int) -> Reader:
    parts = ["once it was accepted"] if given.answer == "offered" else []
    if version is not None:
        parts.append(f"version {given.version}")
        parts += ["once it is not deleted any more"] if version.gone(now_us) else []
    through = f"share {ident}" + (f", passed on by {given.by}" if given.by else "")
    until = from_us(given.expires_us) if given.expires_us else None
    return Reader(
        f"user {given.receiver}", "share", through, given.name, "", until, "; ".join(parts)
    )


def _linked(link: Link) -> Reader:
    parts = ["with its passphrase"] if link.passphrase else []
    parts.append("the value of when it was made")
    return Reader(
        "whoever has the link", "link", f"link {link.accessor}", link.secret, "",
        from_us(link.expires_us), "; ".join(parts),
    )  # fmt: skip


def _wrapped(found: Iterable[Wrapped], reach: Reach) -> Iterator[Reader]:
    places = reach.places()
    for one in found:
        if any(
            one.path.startswith(place) if reach.whole else one.path == place for place in places
        ):
            yield Reader(
                "whoever has the token", "wrapped", f"response of {one.path}#{one.accessor}",
                one.path if reach.whole else reach.path, "",
                from_us(one.until_us), "if it wraps an answer to a read",
            )  # fmt: skip
