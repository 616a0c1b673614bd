"""A client of a server: the same names as the embedded store, for threads and for tasks."""

from adyton.client.aio import AsyncClient
from adyton.client.aio_user import AsyncUserClient
from adyton.client.results import Grant, ServerStatus, TokenInfo
from adyton.client.sync import Client
from adyton.client.sync_user import UserClient

__all__ = [
    "AsyncClient",
    "AsyncUserClient",
    "Client",
    "Grant",
    "ServerStatus",
    "TokenInfo",
    "UserClient",
]
