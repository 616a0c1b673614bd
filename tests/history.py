"""A made-up history of one user's reads, with planted events, from a seed.

Who reads: services around the clock, with more by day; jobs at night; people in office hours, from
the office and from home, late now and then; somebody on call at all hours; an administrator who
looks at everything; somebody who travels; a weekly backup. Beside that things that are new and
meant no harm: new secrets with new services, a service that doubles its reads, one that moves to
another network, and a colleague who joins and reads what was there. What an alert says of those
counts as false.
"""

import random
from typing import NamedTuple

from adyton.service.anomalies.detector import Event

DAY = 86_400
START = 1_767_225_600  # Thursday, 2026-01-01
LEARN = 28
DAYS = 70
KINDS = ("stranger", "stolen", "elsewhere", "burst", "sweep", "night")


class Planted(NamedTuple):
    """An event that is to be found: alerts about the actor (or secret) in its time are right."""

    kind: str
    actor: str
    start: float
    end: float


class History:
    """One user's reads in order, and what was planted."""

    def __init__(self, seed, planted=4):
        self.random = random.Random(seed)
        self.reads = []
        self.planted = []
        self.benign = []
        self._services = {}
        self._people = {}
        self._make_services()
        self._make_jobs()
        self._make_people()
        self._make_changes()
        for kind in KINDS:
            for _ in range(planted):
                self._plant(kind)
        self.reads.sort()

    def events(self):
        """All reads as the detector gets them."""
        return [
            Event(int(time * 1e6), f"auth/{actor}#{token}", name, address, leaf)
            for leaf, (time, actor, token, name, address) in enumerate(self.reads)
        ]

    def read(self, time, actor, name, address):
        token = f"{actor}-{int(time) // 3600}"  # a token lives for an hour
        self.reads.append((time, actor, token, name, address))

    def poisson(self, mean):
        if mean > 30:
            return max(0, round(self.random.gauss(mean, mean**0.5)))
        limit, count, product = 2.718281828459045**-mean, 0, self.random.random()
        while product > limit:
            count += 1
            product *= self.random.random()
        return count

    # -- who reads ------------------------------------------------------------------------------

    def _make_services(self):
        for number in range(7):
            self._service(f"service-{number}", [f"s{number}/{n}" for n in range(4)], 0, DAYS,
                          self.random.uniform(1, 9), f"10.{number}.0")  # fmt: skip

    def _service(self, actor, names, first, last, rate, network, growth=None):
        """Reads of a service: a rate an hour for each secret, thrice by day."""
        self._services[actor] = (names, network)
        for hour in range(first * 24, last * 24):
            at = START + hour * 3600
            by_day = 3.0 if 7 <= hour % 24 < 20 and (hour // 24 + 3) % 7 < 5 else 1.0
            more = 2.0 if growth is not None and hour // 24 >= growth else 1.0
            for name in names:
                for _ in range(self.poisson(rate / 3 * by_day * more)):
                    host = self.random.randrange(1, 6)
                    self.read(at + self.random.uniform(0, 3600), actor, name, f"{network}.{host}")

    def _make_jobs(self):
        for number in range(2):
            hour = self.random.randrange(24)
            for day in range(DAYS):
                for n in range(6):
                    at = START + day * DAY + hour * 3600 + self.random.uniform(0, 600)
                    self.read(at, f"job-{number}", f"s{number}/{n % 4}", f"10.20.{number}.1")
        for day in range(0, DAYS, 7):
            at = START + day * DAY + 3 * 3600
            for number in range(7):
                for n in range(4):
                    at += self.random.uniform(1, 20)
                    self.read(at, "backup", f"s{number}/{n}", "10.30.0.1")

    def _make_people(self):
        for number in range(5):
            mine = [f"s{number}/{n}" for n in range(3)] + [f"team/{n}" for n in range(5)]
            self._person(f"person-{number}", mine, 0, late=0.03)
        every = [f"s{number}/{n}" for number in range(7) for n in range(4)]
        self._person("administrator", every + [f"team/{n}" for n in range(5)], 0, late=0.1)
        self._person("on-call", [f"s{number}/0" for number in range(7)], 0, late=0.0, always=True)
        self._person("traveller", [f"team/{n}" for n in range(5)], 0, late=0.1, travels=True)

    def _person(self, actor, names, first, *, late, always=False, travels=False):
        home, begins = self.random.randrange(256), self.random.uniform(6, 9)
        self._people[actor] = (names, home)
        for day in range(first, DAYS):
            if not always and (day + 3) % 7 >= 5:
                continue
            if self.random.random() < 0.1:
                continue  # away
            address = f"192.0.2.{self.random.randrange(1, 255)}"
            if self.random.random() < 0.3:
                address = f"198.51.{home}.7"
            if travels:
                address = f"203.{self.random.randrange(256)}.{self.random.randrange(256)}.9"
            hours = [min(max(self.random.gauss(begins + 4, 2.2), begins), begins + 9.5)
                     for _ in range(self.poisson(14))]  # fmt: skip
            if always:
                hours = [self.random.uniform(0, 24) for _ in range(self.poisson(14))]
            if self.random.random() < late:
                hours += [begins + 9.5 + self.random.uniform(0, 3) for _ in range(3)]
            for hour in hours:
                name = self.random.choice(names)
                self.read(START + day * DAY + hour * 3600, actor, name, address)

    def _make_changes(self):
        for number in range(3):
            day = self.random.randrange(LEARN, DAYS - 10)
            names = [f"new{number}/{n}" for n in range(3)]
            self._service(f"new-service-{number}", names, day, DAYS, 4.0, f"10.{40 + number}.0")
        day = self.random.randrange(LEARN, DAYS - 10)
        self._service("growing", [f"g/{n}" for n in range(3)], 0, DAYS, 6.0, "10.50.0", growth=day)
        day = self.random.randrange(LEARN, DAYS - 10)
        names = [f"m/{n}" for n in range(3)]
        self._service("moving", names, 0, day, 3.0, "10.60.0")
        self._service("moving", names, day, DAYS, 3.0, "10.61.0")
        day = self.random.randrange(LEARN, DAYS - 10)
        self._person("colleague", [f"team/{n}" for n in range(5)], day, late=0.03)
        self.benign += ["moving", "colleague"]

    # -- what is to be found --------------------------------------------------------------------

    def _plant(self, kind):
        """One event, apart from all others of the same actor by more than two days."""
        while True:
            at = START + self.random.uniform(LEARN + 1, DAYS - 2) * DAY
            actor, reads = getattr(self, f"_{kind}")(at)
            start, end = min(r[0] for r in reads), max(r[0] for r in reads)
            near = [
                p for p in self.planted if p.actor == actor and abs(p.start - start) < 2.5 * DAY
            ]
            if not near:
                break
        for time, name, address in reads:
            self.read(time, actor, name, address)
        self.planted.append(Planted(kind, actor, start, end))

    def _victim(self):
        return self.random.choice([f"service-{number}" for number in range(7)])

    def _stranger(self, at):
        """Somebody who was never there reads a few secrets of a service."""
        names, _ = self._services[self._victim()]
        actor = f"stranger-{self.random.randrange(10**9)}"
        return actor, [(at + 5 * n, names[n % 4], "198.18.0.7") for n in range(3)]

    def _stolen(self, at):
        """A service's identity, from its own network, reads another one's secret."""
        actor = self._victim()
        other = self.random.choice([s for s in self._services if s.startswith("service-")
                                    and s != actor])  # fmt: skip
        network = self._services[actor][1]
        return actor, [(at, self.random.choice(self._services[other][0]), f"{network}.2")]

    def _elsewhere(self, at):
        """A service's identity reads its own secret from a network where it never was."""
        actor = self._victim()
        address = f"185.{self.random.randrange(256)}.{self.random.randrange(256)}.5"
        return actor, [(at, self.random.choice(self._services[actor][0]), address)]

    def _burst(self, at):
        """One secret is read many times in a few minutes, by who reads it anyway."""
        actor = self._victim()
        names, network = self._services[actor]
        name, count = self.random.choice(names), self.random.randrange(200, 400)
        span = self.random.uniform(60, 500)
        return actor, [(at + span * n / count, name, f"{network}.1") for n in range(count)]

    def _sweep(self, at):
        """All secrets of a team are read again and again within minutes by one of it."""
        actor = f"person-{self.random.randrange(5)}"
        names, home = self._people[actor]
        at = at // DAY * DAY + 12 * 3600  # in office hours, on any day
        at += {5: 2, 6: 1}.get((int(at) // DAY + 3) % 7, 0) * DAY
        count = self.random.randrange(100, 200)
        return actor, [(at + 2 * n, names[n % len(names)], f"198.51.{home}.7")
                       for n in range(count)]  # fmt: skip

    def _night(self, at):
        """Somebody with office hours reads what they always read, at night, from home."""
        actor = f"person-{self.random.randrange(5)}"
        names, home = self._people[actor]
        at = at // DAY * DAY + self.random.uniform(0.5, 4) * 3600
        return actor, [(at + 60 * n, self.random.choice(names), f"198.51.{home}.7")
                       for n in range(2)]  # fmt: skip
