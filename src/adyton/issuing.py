"""The seam of issuers: what makes dynamic credentials elsewhere, and ends them.

Each step may come again after a crash, and has to be done once all the same. An issuer is called
on a thread, and keeps nothing between calls.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from adyton.dynamicvalues import DynamicRole
from adyton.rotating import Bounds


@dataclass(frozen=True, slots=True, repr=False)
class Grant:
    """One set of credentials as its issuer sees it.

    Attributes:
        username: Names it; made by the issuer's ``username``.
        settings: The connection's settings.
        bounds: What may be touched.
        admin: What lets the issuer in.
        expires: When the credentials are to stop working by themselves.
        member_of: Roles whose rights they get.
        creation: The role's statements; empty for the issuer's own.
        renewal: Idem.
        revocation: Idem.
    """

    username: str
    settings: Mapping[str, str]
    bounds: Bounds
    admin: bytes
    expires: dt.datetime
    member_of: Sequence[str] = ()
    creation: Sequence[str] = ()
    renewal: Sequence[str] = ()
    revocation: Sequence[str] = ()


class Issuer(Protocol):
    """What makes credentials.

    ``test``, ``create``, ``renew`` and ``revoke`` raise ``LeaseError`` where the step can't be
    done now, with a text that holds nothing secret.
    """

    def check(self, settings: Mapping[str, str], *, admin: bool) -> None:
        """Check a connection's settings, and whether there is something to be let in by.

        Raises:
            InvalidInput: They can't be used.
        """

    def check_role(self, role: DynamicRole) -> None:
        """Check a role's statements.

        Raises:
            InvalidInput: They can't be used.
        """

    def place(self, settings: Mapping[str, str]) -> str:
        """Which system settings mean: credentials are ended where they were made."""

    def username(self, role: str, ident: str) -> str:
        """A name for new credentials.

        Args:
            role: The dynamic role's name.
            ident: 26 of a-z and 2-7, which no other credentials have.
        """

    def test(self, grant: Grant) -> None:
        """Pass only if the issuer is let in."""

    def create(self, grant: Grant, password: str) -> None:
        """Make the credentials, all at once or not at all."""

    def renew(self, grant: Grant) -> None:
        """Let them work until ``grant.expires``."""

    def revoke(self, grant: Grant) -> None:
        """End them and what is open by them; nothing to do if they are not there."""
