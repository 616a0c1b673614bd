"""Who reads, writes and lists what, said once and plainly: grants, policies, shares and time.

Nothing here has an index, a cache or an order; it shares no code with the package but the names
of rights.
"""

import ipaddress
from dataclasses import dataclass, field

from access import oracle

BUILT_IN = {
    "viewer": {"list", "read", "read-metadata"},
    "editor": {"delete", "list", "read", "read-metadata", "tag", "write"},
    "operator": {"delete", "list", "read-metadata", "tag", "write"},
    "auditor": {"audit", "list", "read-metadata"},
}
NEAR, FAR = "10.1.2.3", "192.0.2.9"
DAY = 86_400
PROBES = ("a", "b", "g/a", "g/b", "zz", "g/zz", "zz/zz", "zz/zz/zz/zz", "g/zz/zz/zz")
"""What may come to be in a folder."""


def is_in(name, path):
    """Segment by segment, not by the beginnings of texts; also of a folder in a folder."""
    if path == "/":
        return True
    if not path.endswith("/"):
        return name == path
    folder, parts = path[:-1].split("/"), name.rstrip("/").split("/")
    deeper = len(parts) > len(folder) or (name.endswith("/") and len(parts) == len(folder))
    return deeper and parts[: len(folder)] == folder


@dataclass
class Grant:
    member: str
    path: str
    role: str
    rights: frozenset
    deny: bool = False
    ends: float = 0
    network: str = ""
    left: int | None = None
    approval: str = ""
    order: int = 0


@dataclass
class Asked:
    """A request for a second person's approval that was approved."""

    member: str
    right: str
    path: str
    ends: float
    uses: int


@dataclass
class Share:
    receiver: str
    path: str
    write: bool
    ends: float = 0
    accepted: bool = False
    reshare: int = 0
    parent: str = ""


@dataclass
class Actor:
    """Somebody with a token.

    ``home`` is whose namespace it is of, ``member`` who it is in the owner's, if anybody.
    """

    token: str
    home: str
    policy: list
    member: str = ""
    ends: float = 0


@dataclass
class Model:
    """The owner's namespace as a person would tell it."""

    owner: str
    secrets: dict = field(default_factory=dict)
    grants: dict = field(default_factory=dict)
    roles: dict = field(default_factory=dict)
    members: set = field(default_factory=set)
    approved: list = field(default_factory=list)
    shares: dict = field(default_factory=dict)
    now: float = 0

    # -- grants ---------------------------------------------------------------------------------

    def rights(self, grant):
        if not grant.role:
            return grant.rights
        return BUILT_IN.get(grant.role) or self.roles.get(grant.role, set())

    def in_force(self, grant, address):
        if grant.ends and grant.ends <= self.now:
            return False
        near = not grant.network or ipaddress.ip_address(address) in ipaddress.ip_network(
            grant.network
        )
        return near or grant.deny

    def speaking(self, member, right, name, address):
        """A member's grants that speak of a right on something now."""
        return [
            (ident, grant) for ident, grant in self.grants.items()
            if grant.member == member and right in self.rights(grant) and is_in(name, grant.path)
            and self.in_force(grant, address)
        ]  # fmt: skip

    def taken(self, member, right, name, address=NEAR):
        """Whether a grant takes it away; of a whole folder also inside it."""
        inside = name.endswith("/") and any(
            grant.deny and grant.member == member and right in self.rights(grant)
            and is_in(grant.path, name) and self.in_force(grant, address)
            for grant in self.grants.values()
        )  # fmt: skip
        return inside or any(grant.deny for _, grant in self.speaking(member, right, name, address))

    def spends(self, grant, right, name):
        """Whether a use of a grant counts, or needs approval."""
        counted = grant.left is not None and right == "read"
        return counted or self.asks(grant, name)

    @staticmethod
    def asks(grant, name):
        return bool(grant.approval) and is_in(name, grant.approval)

    def free(self, member, right, name, address):
        """Whether a grant gives it that neither counts nor asks."""
        found = self.speaking(member, right, name, address)
        return not self.taken(member, right, name, address) and any(
            not grant.deny and not self.spends(grant, right, name) for _, grant in found
        )

    def spending(self, member, right, name, address):
        """What gives it at a price, in the order that it is asked: widest first, then oldest."""
        if self.taken(member, right, name, address) or self.free(member, right, name, address):
            return []
        found = [
            grant for _, grant in self.speaking(member, right, name, address) if not grant.deny
        ]
        return sorted(found, key=lambda grant: (len(grant.path.strip("/")), grant.order))

    def pay(self, member, right, name, address, *, spend=True):
        """Whether there is a way to pay for it; paid, if it is to be."""
        for grant in self.spending(member, right, name, address):
            leave = self.leave(member, right, name) if self.asks(grant, name) else None
            if self.asks(grant, name) and leave is None:
                continue
            counted = grant.left is not None and right == "read"
            if counted and not grant.left:
                continue
            if spend and leave is not None:
                leave.uses -= 1
            if spend and counted:
                grant.left -= 1
            return True
        return False

    def leave(self, member, right, name):
        """The approval that is used first."""
        found = [
            one for one in self.approved
            if (one.member, one.right, one.path) == (member, right, name)
            and one.ends > self.now and one.uses
        ]  # fmt: skip
        return min(found, key=lambda one: one.ends, default=None)

    # -- policies -------------------------------------------------------------------------------

    def by_policy(self, actor, path, operation):
        seen = path if actor.home == self.owner else f"{self.owner}/{path}"
        return oracle.allows(actor.policy, seen, operation)

    def policy_denies(self, actor, path, operation):
        seen = path if actor.home == self.owner else f"{self.owner}/{path}"
        if operation == "list" and not seen.endswith("/"):
            seen += "/"
        table = oracle.merge(actor.policy)
        return "deny" in table.get(oracle.deciding(table, seen, operation == "list"), set())

    # -- both -----------------------------------------------------------------------------------

    def may(self, actor, right, name, path, operation, address, *, spend=False, free=False):
        """Whether somebody may do something now; what is counted is counted if it is done."""
        if actor.ends and actor.ends <= self.now:
            return False
        policy = self.by_policy(actor, path, operation)
        if actor.home == "root":
            return policy
        if not actor.member:
            return policy and actor.home == self.owner
        if self.policy_denies(actor, path, operation) or self.taken(
            actor.member, right, name, address
        ):
            return False
        if actor.home == self.owner:
            if policy:
                return True
        elif not policy:
            return False
        if self.free(actor.member, right, name, address):
            return True
        return not free and self.pay(actor.member, right, name, address, spend=spend)

    def until(self, actor, right, name, operation):
        """Until when somebody may do something, bound to no condition; None if not, 0 for ever.

        Of a folder it is for all that could come to be in it.
        """
        folder = name.endswith("/")
        inside = [name + one for one in PROBES] if folder else [name]
        places = [f"adyton/secrets/{one}" for one in inside]
        policy = all(self.by_policy(actor, one, operation) for one in places)
        home = actor.home in {self.owner, "root"}
        if not actor.member or (not home and not policy):
            return 0 if policy and home else None
        if any(self.policy_denies(actor, one, operation) for one in places) or any(
            self.taken(actor.member, right, one) for one in inside
        ):
            return None
        if policy and home:
            return 0
        ends = [
            grant.ends
            for _, grant in self.speaking(actor.member, right, name, NEAR)
            if not grant.deny and not grant.network
            and not any(self.spends(grant, right, one) for one in (name, *inside))
        ]  # fmt: skip
        return None if not ends else 0 if 0 in ends else max(ends)

    def knows(self, actor, name, address):
        """Whether grants let a member know of something: then a refusal says so."""
        return any(
            self.free(actor.member, right, name, address)
            or self.spending(actor.member, right, name, address)
            for right in (
                "read", "read-metadata", "write", "list", "tag", "delete", "share", "audit",
                "admin",
            )
        )  # fmt: skip

    def lists(self, actor, name, address):
        """Whether a name is shown in lists of what is in its folder."""
        folder = name[: name.rfind("/") + 1]
        return self.may(actor, "list", name, f"adyton/secrets/{folder}", "list", address, free=True)

    # -- shares ---------------------------------------------------------------------------------

    def end_share(self, ident):
        """With all that came of it."""
        del self.shares[ident]
        for below in [one for one, share in self.shares.items() if share.parent == ident]:
            self.end_share(below)

    def shared(self, receiver, ident, name, *, write=False):
        share = self.shares.get(ident)
        return (
            share is not None and share.receiver == receiver and share.accepted
            and not 0 < share.ends <= self.now and is_in(name, share.path)
            and (share.write or not write)
        )  # fmt: skip
