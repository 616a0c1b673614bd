"""An open store with the wider areas that hang on it by name."""

from adyton.library.aio_alerts import AsyncAlerts
from adyton.library.aio_areas import AsyncAudit, AsyncKeys
from adyton.library.aio_base import AsyncFace
from adyton.library.aio_dynamic import AsyncDynamic
from adyton.library.aio_grants import AsyncAccess
from adyton.library.aio_holds import AsyncHolds
from adyton.library.aio_lifecycle import AsyncLifecycle
from adyton.library.aio_links import AsyncLinks
from adyton.library.aio_members import AsyncMembers
from adyton.library.aio_notices import AsyncNotices, AsyncWebhooks
from adyton.library.aio_quotas import AsyncQuotas
from adyton.library.aio_reports import AsyncReports
from adyton.library.aio_roots import AsyncRoots
from adyton.library.aio_rotation import AsyncRotation
from adyton.library.aio_shares import AsyncShares
from adyton.library.aio_userroots import AsyncUserRoots
from adyton.model import Caller
from adyton.wiring import Opened


class AsyncRooms(AsyncFace):
    """A store without its operations on secrets.

    Attributes:
        keys: Rotation and re-wrapping of keys.
        audit: The audit log.
        links: One-time links.
        roots: The roots of trust that open it.
        quotas: What each user may store.
        shares: Sharing with other users.
        rotation: Rotation of secrets by policies.
        reports: Reports on secrets, their use and their keys.
        notices: What users are told of.
        webhooks: Where that is sent to.
        members: Members of a user's namespace, and roles.
        access: What members may do, and why.
        dynamic: Credentials that are made on request, and end with their lease.
        holds: Legal holds.
        lifecycle: Notices of what ends, and the retention of what was deleted.
        alerts: How unusual reads are looked for.
        user_roots: Roots that users hold themselves.
    """

    def __init__(self, opened: Opened, caller: Caller | None = None) -> None:
        super().__init__(opened, caller)
        self.keys = AsyncKeys(self)
        self.audit = AsyncAudit(self)
        self.links = AsyncLinks(self)
        self.roots = AsyncRoots(self)
        self.quotas = AsyncQuotas(self)
        self.shares = AsyncShares(self)
        self.rotation = AsyncRotation(self)
        self.reports = AsyncReports(self)
        self.notices = AsyncNotices(self)
        self.webhooks = AsyncWebhooks(self)
        self.members = AsyncMembers(self)
        self.access = AsyncAccess(self)
        self.dynamic = AsyncDynamic(self)
        self.holds = AsyncHolds(self)
        self.lifecycle = AsyncLifecycle(self)
        self.alerts = AsyncAlerts(self)
        self.user_roots = AsyncUserRoots(self)
