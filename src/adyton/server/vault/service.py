"""The services that the API's handlers call."""

from typing import Any, Final, Protocol

from adyton.model import Caller
from adyton.roots import ShamirRoot
from adyton.roots.shamir import read_set
from adyton.server.attestation import Attestation
from adyton.server.telemetry.state import Telemetry
from adyton.server.vault.context import Context
from adyton.server.vault.routes import Found
from adyton.service.access.closing import close_login
from adyton.service.access.policy import Capability
from adyton.service.access.records import Mount
from adyton.service.access.spaces import Spaces
from adyton.service.access.tokens import Tokens
from adyton.service.access.wrapping import Cubbyhole, Wrapping
from adyton.service.core import Core
from adyton.service.directory import Directory
from adyton.service.dynamic.many import erase_folder
from adyton.service.kv import MOUNTS_FOLDER
from adyton.service.lifecycle.holds import LegalHolds
from adyton.service.links import Links
from adyton.service.objects import Shelf
from adyton.service.quota.named import RateQuotas
from adyton.service.rekey import Rekey
from adyton.service.secrets import Secrets
from adyton.service.ticket import Aside


class Login(Protocol):
    """The routes of one kind of login method, or of a secrets engine but kv."""

    def find(self, path: str, prefix: str, operation: Capability) -> Found | None:
        """What serves a path under a mount."""


class Sealer(Protocol):
    """What seals the server."""

    def seal(self) -> Aside[None]:
        """Seal it; what is awaited resolves when its keys are wiped."""

    def root_lost(self, reason: str) -> None:
        """Seal it, as its root would not open it any more; from any thread."""

    def use_root(self, uri: str) -> None:
        """Open the store by another root the next time."""


class Services:
    """All services of one open store.

    Args:
        core: The open store.
        telemetry: Counts of the server.
        sealer: Seals the server; None where that is not offered.
        attestation: Shows evidence; by default there is none.
    """

    def __init__(
        self,
        core: Core,
        telemetry: Telemetry | None = None,
        sealer: Sealer | None = None,
        attestation: Attestation | None = None,
    ) -> None:
        self.core: Final = core
        self.attestation: Final = attestation or Attestation()
        self.sealer: Final = sealer
        self.rekey: Final = Rekey(core, ShamirRoot.of_key, read_set)
        self.telemetry: Final = telemetry or Telemetry()
        self.secrets: Final = Secrets(core)
        self.directory: Final = Directory(core)
        self.links: Final = Links(core)
        self.holds: Final = LegalHolds(core)
        self.spaces: Final = Spaces(core)
        self.gate: Final = self.telemetry.gate(core, self.spaces)
        self.tokens: Final = Tokens(core, self.gate)
        self.wrapping: Final = Wrapping(core, self.tokens)
        self.cubbyhole: Final = Cubbyhole(core)
        self.rate_quotas: Final = RateQuotas(core)
        self.logins: dict[str, Login] = {}
        self.engines: dict[str, Login] = {}

    async def has_object(self, user: str, shelf: Shelf[Any], ident: str, folder: str) -> bool:
        """Whether an object is there: to choose between two rights, told to nobody."""
        keys = await self.core.keys(user)
        if keys is None:
            return False
        async with self.core.storage.snapshot() as rows:
            return await shelf.get(rows, keys, ident, folder) is not None

    async def erase_mount(self, caller: Caller, user: str, mount: Mount) -> None:
        """Erase all that a mount holds, for good."""
        if mount.type in self.logins:
            await close_login(self.core, self.tokens, caller, user, mount)
        if mount.type == "database":
            await erase_folder(self.core, caller, user, mount.prefix)
        if mount.type != "kv":
            return
        apart = "" if mount.prefix else MOUNTS_FOLDER
        await self.holds.check_below(caller, user, mount.prefix, apart)
        page = await self.directory.list_secrets(
            caller, user, prefix=mount.prefix, include_deleted=True
        )
        for meta in page:
            if not mount.prefix and meta.name.startswith(MOUNTS_FOLDER):
                continue
            await self.directory.destroy(caller, user, meta.name, None)

    @staticmethod
    def anonymous(context: Context, method: str = "") -> Caller:
        """The caller of what needs no token: a login by a method, its wrapped answer."""
        request = context.request
        return Caller(
            "(login)",
            context.user,
            request.address,
            request.request_id,
            method,
            decision="public",
        )
