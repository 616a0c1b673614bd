"""The library: one open store as a Python object, for threads and for tasks."""

from adyton.library.aio import AsyncSecretStore
from adyton.library.aio_user import AsyncUserStore
from adyton.library.sync import SecretStore
from adyton.library.sync_user import UserStore

__all__ = ["AsyncSecretStore", "AsyncUserStore", "SecretStore", "UserStore"]
