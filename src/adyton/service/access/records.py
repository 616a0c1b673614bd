"""What access control keeps, as sealed objects (``docs/spec/store.md``, section 5).

Fields are stored by name; a new one needs a default, so that old objects stay readable.
"""

from typing import Final

import msgspec

from adyton.service.objects import Shelf

DEFAULT_TTL: Final = 32 * 86_400
"""Seconds that a token lives unless it is asked for less, and at most (as Vault's 768 h)."""


class Token(msgspec.Struct, omit_defaults=True):
    """A token, without its text.

    Attributes:
        accessor: Names the token without giving its rights.
        parent: Id of the token that made it; empty for an orphan.
        policies: Names of its policies, sorted.
        path: Where it was made, such as ``auth/approle/login``.
        display_name: For people.
        meta: What the login method knows of the caller.
        created_us: When it was made.
        creation_ttl: Seconds it was first given; 0 for no end.
        explicit_max_ttl: Seconds after creation at which it ends whatever comes; 0 for none.
        period: Seconds of each renewal of a periodic token; 0 for none.
        num_uses: Uses that are left; 0 for no bound.
        renewable: Whether renewing it is allowed.
        expires_us: When it ends; 0 for never.
        renewed_us: When it was last renewed; 0 for never.
        role: The token role it was made by, or empty.
        cidrs: Networks it may be used from; empty for all.
        wraps: Creation path of the response that it wraps, or empty.
        method: Type and mount of the login method that made it; empty if it is older than this
            field.
        entity: Id of the entity that logged in, or whose token made this child; empty for none.
    """

    accessor: str
    parent: str = ""
    policies: list[str] = []
    path: str = ""
    display_name: str = ""
    meta: dict[str, str] | None = None
    created_us: int = 0
    creation_ttl: int = 0
    explicit_max_ttl: int = 0
    period: int = 0
    num_uses: int = 0
    renewable: bool = True
    expires_us: int = 0
    renewed_us: int = 0
    role: str = ""
    cidrs: list[str] = []
    wraps: str = ""
    method: str = ""
    entity: str = ""

    def __repr__(self) -> str:
        return "<Token>"


class TokenRef(msgspec.Struct):
    """Points to a token by its id."""

    id: str


class TokenRole(msgspec.Struct, omit_defaults=True):
    """A role that tokens are made by (``auth/token/roles``)."""

    allowed_policies: list[str] = []
    disallowed_policies: list[str] = []
    allowed_policies_glob: list[str] = []
    disallowed_policies_glob: list[str] = []
    orphan: bool = False
    renewable: bool = True
    path_suffix: str = ""
    allowed_entity_aliases: list[str] = []
    token_bound_cidrs: list[str] = []
    token_explicit_max_ttl: int = 0
    token_period: int = 0
    token_num_uses: int = 0
    token_no_default_policy: bool = False
    token_type: str = "default-service"  # noqa: S105 - a kind of token


class PolicyText(msgspec.Struct):
    """A policy as it was written."""

    text: str


class Mount(msgspec.Struct, omit_defaults=True):
    """A secrets engine or a login method at a path.

    Attributes:
        path: Ends in a slash.
        type: ``kv``, ``cubbyhole``, ``system``, ``token``, ``approle``, ``userpass``.
        accessor: Stable name.
        uuid: Identifier for people's tools.
        description: For people.
        options: As given; ``version`` for kv.
        config: As given by tuning.
        prefix: What is put before a path to make a secret's name.
        kv: The engine's own configuration.
    """

    path: str
    type: str
    accessor: str
    uuid: str
    description: str = ""
    options: dict[str, str] | None = None
    config: dict[str, object] = {}
    prefix: str = ""
    kv: dict[str, object] = {}
    local: bool = False
    seal_wrap: bool = False


class MountTable(msgspec.Struct):
    """All mounts of a namespace: engines by path, login methods by path under ``auth/``."""

    engines: list[Mount]
    logins: list[Mount]


class Bounds(msgspec.Struct, omit_defaults=True):
    """What tokens of a login are to be; times in seconds, 0 for none."""

    policies: list[str] = []
    ttl: int = 0
    max_ttl: int = 0
    explicit_max_ttl: int = 0
    period: int = 0
    num_uses: int = 0
    no_default_policy: bool = False
    cidrs: list[str] = []
    type: str = "default"


class AppRole(msgspec.Struct, omit_defaults=True):
    """A role of the AppRole method."""

    role_id: str
    bounds: Bounds
    bind_secret_id: bool = True
    secret_id_num_uses: int = 0
    secret_id_ttl: int = 0
    secret_id_cidrs: list[str] = []


class SecretId(msgspec.Struct, omit_defaults=True):
    """A SecretID of a role, without its text.

    Attributes:
        accessor: Names it without giving its right.
        created_us: When it was made.
        expires_us: When it ends; 0 for never.
        ttl: Seconds it was given.
        num_uses: Logins that are left; 0 for no bound.
        metadata: Goes into the tokens' metadata.
        cidrs: Networks it may be used from; empty for all.
    """

    accessor: str
    created_us: int
    expires_us: int = 0
    ttl: int = 0
    num_uses: int = 0
    metadata: dict[str, str] = {}
    cidrs: list[str] = []

    def __repr__(self) -> str:
        return "<SecretId>"


class PasswordUser(msgspec.Struct, omit_defaults=True):
    """A user of the userpass method."""

    password: str
    bounds: Bounds

    def __repr__(self) -> str:
        return "<PasswordUser>"


class Alias(msgspec.Struct, omit_defaults=True):
    """What a login method calls an entity.

    Attributes:
        id: Random.
        mount_accessor: The login method's mount.
        mount_type: Its type.
        name: The name there: a user's name, a RoleID.
        created_us: When it first logged in.
        updated_us: When the metadata last changed.
        metadata: What the method knew of it at its last login.
    """

    id: str
    mount_accessor: str
    mount_type: str
    name: str
    created_us: int
    updated_us: int = 0
    metadata: dict[str, str] = {}

    def __repr__(self) -> str:
        return "<Alias>"


class Entity(msgspec.Struct, omit_defaults=True):
    """Somebody who logs in.

    Attributes:
        id: Random; never used again.
        name: For people; unique in the namespace.
        metadata: Set by an administrator; policies may name it.
        aliases: At most one for each mount.
        created_us: When it was made.
        updated_us: When it was last changed.
    """

    id: str
    name: str
    metadata: dict[str, str] = {}
    aliases: list[Alias] = []
    created_us: int = 0
    updated_us: int = 0

    def __repr__(self) -> str:
        return "<Entity>"


class CubbyholeEntry(msgspec.Struct):
    """A value in a token's own cubbyhole: a JSON object's text."""

    data: bytes

    def __repr__(self) -> str:
        return "<CubbyholeEntry>"


TOKENS: Final = Shelf("token", Token)
ACCESSORS: Final = Shelf("token-accessor", TokenRef)
CHILDREN: Final = Shelf("token-child", TokenRef)
TOKEN_ROLES: Final = Shelf("token-role", TokenRole)
POLICIES: Final = Shelf("policy", PolicyText)
MOUNTS: Final = Shelf("mounts", MountTable)
APPROLES: Final = Shelf("approle", AppRole)
APPROLE_IDS: Final = Shelf("approle-id", TokenRef)
SECRET_IDS: Final = Shelf("approle-secret", SecretId)
SECRET_ACCESSORS: Final = Shelf("approle-secret-accessor", TokenRef)
PASSWORD_USERS: Final = Shelf("userpass", PasswordUser)
CUBBYHOLE: Final = Shelf("cubbyhole", CubbyholeEntry)
ENTITIES: Final = Shelf("entity", Entity)
ENTITY_NAMES: Final = Shelf("entity-name", TokenRef)
ENTITY_ALIASES: Final = Shelf("entity-alias", TokenRef)
