"""Which policies a token gives to another: never more than it has, or than a role allows."""

import fnmatch
from collections.abc import Iterable

from adyton.errors import InvalidInput
from adyton.service.access.policy import ROOT_NAME, policy_names
from adyton.service.access.records import Token, TokenRole
from adyton.service.access.spaces import DEFAULT_POLICY


def given_policies(
    names: Iterable[str],
    giver: Token,
    role: TokenRole | None,
    *,
    is_root: bool,
    foreign: bool,
    no_default: bool,
) -> list[str]:
    """The policies of a new token, sorted.

    Args:
        names: What is asked for; nothing for the giver's, or all that the role allows.
        giver: The token that makes it.
        role: The role that it is made by.
        is_root: Whether the giver is a root token.
        foreign: Whether it is made in another namespace than the giver's.
        no_default: Whether to leave out the default policy.

    Raises:
        InvalidInput: They are not the giver's to give.
    """
    wanted = set(policy_names(names))
    if role is not None and _is_bound(role):
        wanted = _of_role(wanted, role)
    elif not wanted and foreign and not is_root:
        # Policies of one namespace mean nothing in another.
        raise InvalidInput("policies must be named to create a token in another namespace")
    elif not wanted:
        wanted = set(giver.policies)
    elif not is_root and not foreign and not wanted <= {*giver.policies, DEFAULT_POLICY}:
        raise InvalidInput("child policies must be subset of parent")
    if ROOT_NAME in wanted and not is_root:
        raise InvalidInput("root tokens may not be created without parent token being root")
    if ROOT_NAME in wanted:
        return [ROOT_NAME]
    if role is not None and (role.token_no_default_policy or _bans(role, DEFAULT_POLICY)):
        no_default = True
    if not no_default:
        wanted.add(DEFAULT_POLICY)
    return sorted(wanted)


def givable(role: TokenRole, known: Iterable[str]) -> frozenset[str] | None:
    """The policies that some token of a role could have.

    Args:
        role: The role.
        known: Names of the policies that there are; others allow nothing.

    Returns:
        Their names; None where it is those of whoever makes the token.
    """
    if not _is_bound(role):
        return None
    return frozenset(
        name
        for name in known
        if name != ROOT_NAME and _allows(role, name) and not _bans(role, name)
    )


def _is_bound(role: TokenRole) -> bool:
    return bool(
        role.allowed_policies
        or role.disallowed_policies
        or role.allowed_policies_glob
        or role.disallowed_policies_glob
    )


def _of_role(wanted: set[str], role: TokenRole) -> set[str]:
    allowed = set(role.allowed_policies)
    if not wanted:
        wanted = set(allowed)
    globs = role.allowed_policies_glob
    if not all(_allows(role, name) for name in wanted):
        raise InvalidInput(
            f"token policies ({_listed(wanted)}) must be subset of the role's allowed"
            f" policies ({_listed(allowed)}) or glob policies ({_listed(globs)})"
        )
    for name in wanted:
        if _bans(role, name):
            raise InvalidInput(f'token policy "{name}" is disallowed by this role')
    return wanted


def _allows(role: TokenRole, policy: str) -> bool:
    allowed, globs = role.allowed_policies, role.allowed_policies_glob
    return (
        not (allowed or globs)
        or policy == DEFAULT_POLICY
        or policy in allowed
        or any(fnmatch.fnmatchcase(policy, glob) for glob in globs)
    )


def _bans(role: TokenRole, policy: str) -> bool:
    return policy in role.disallowed_policies or any(
        fnmatch.fnmatchcase(policy, glob) for glob in role.disallowed_policies_glob
    )


def _listed(names: Iterable[str]) -> str:
    return "[" + " ".join(f'"{name}"' for name in sorted(names)) + "]"
