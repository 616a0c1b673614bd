"""A store whose clock tests move, and what they ask of it."""

import datetime as dt

from adyton.model import from_us

DAY = 86_400


class Moved:
    """The store's own clock, and more."""

    def __init__(self, clock):
        self._clock, self.more_us = clock, 0

    def now_us(self):
        return self._clock.now_us() + self.more_us


class World:
    """An open store, its clock, and what is asked of both."""

    def __init__(self, store):
        self.store = store
        self.core = core = store._opened.core
        self.clock = core.clock = core.commit._clock = Moved(core.clock)

    def wait(self, seconds):
        self.clock.more_us += round(seconds * 1_000_000)

    def now(self):
        return from_us(self.clock.now_us())

    def after(self, seconds):
        return self.now() + dt.timedelta(seconds=seconds)

    def run(self):
        return self.store.lifecycle.run_due()

    def told(self, user="alice"):
        """What a user was told of: kind, subject, seconds before."""
        return [
            (notice.kind, notice.subject, int(notice.details["before_seconds"]))
            for notice in self.notices(user)
        ]

    def notices(self, user="alice"):
        from adyton.service.notices.records import NOTICES

        core = self.core

        async def read():
            keys = await core.keys(user)
            async with core.storage.snapshot() as rows:
                return await NOTICES.all(rows, keys)

        return list(core.commit.run_sync(read()).values())

    def rows(self, sql, *args):
        """Rows of the database, as committed."""

        async def read():
            async with self.core.storage.snapshot() as rows:
                return rows.connection.execute(sql, args).fetchall()

        return self.core.commit.run_sync(read())
