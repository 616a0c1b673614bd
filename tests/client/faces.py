"""Both faces of a store or a client, driven alike: what is asynchronous is run to its end."""

import asyncio
import inspect

from adyton import AsyncClient, AsyncSecretStore, Client, SecretStore


class Blocking:
    """An asynchronous object whose methods block."""

    def __init__(self, inner, runner):
        self.inner = inner
        self.runner = runner

    def _plain(self, found):
        if inspect.iscoroutine(found):
            return self._plain(self.runner.run(found))
        if type(found).__name__.startswith("Async"):
            return Blocking(found, self.runner)
        return found

    def __getattr__(self, name):
        found = getattr(self.inner, name)
        if inspect.ismethod(found):
            return lambda *args, **options: self._plain(found(*args, **options))
        return self._plain(found)


class Faces:
    """Opens stores and clients, and closes what it has opened."""

    def __init__(self, kind):
        self.kind = kind
        self.runner = asyncio.Runner() if kind == "async" else None
        self.opened = []

    def _keep(self, made):
        self.opened.append(Blocking(made, self.runner) if self.runner else made)
        return self.opened[-1]

    def client(self, *args, **options):
        return self._keep((AsyncClient if self.runner else Client)(*args, **options))

    def store(self, *args, **options):
        if self.runner:
            return self._keep(self.runner.run(AsyncSecretStore.open(*args, **options)))
        return self._keep(SecretStore.open(*args, **options))

    def close(self):
        for each in self.opened:
            each.close()
        if self.runner:
            self.runner.close()
