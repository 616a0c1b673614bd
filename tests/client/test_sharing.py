"""One client for many threads or tasks, and whatever names and values there are."""

import asyncio
import gc
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adyton import AsyncClient, Client
from adyton.errors import ConfigurationError, LimitExceeded, VersionConflict
from servers import TOKEN
from transfer.helpers import NAMES
from transfer.test_canonical import JSON

VALUES = st.binary(max_size=5_000) | st.text(max_size=2_000) | st.dictionaries(st.text(), JSON)


@pytest.fixture(scope="module")
def client(server):
    with Client(server.addr, TOKEN) as made:
        yield made


def _encodable(value):
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(user=NAMES.map(lambda name: name.replace("/", "-")), name=NAMES,
       value=VALUES.filter(_encodable), binary=st.binary(max_size=5_000))  # fmt: skip
def test_every_name_and_value_comes_back(client, user, name, value, binary):
    """What is written under any valid name is read, listed and found again, and no other is."""
    view = client.user(user if user != "me" else "you")
    first = view.set_secret(name, value)
    second = view.set_secret(name, binary)
    assert second.version == first.version + 1
    with view.get_secret(name) as found, view.get_secret(name, version=first.version) as before:
        assert found.reveal() == binary
        if isinstance(value, dict):
            assert before.content_type == "application/json"
        else:
            assert before.reveal() == (value.encode() if isinstance(value, str) else value)
    assert name in [each.name for each in view.list_secrets(prefix=name)]
    assert view.get_secret_metadata(name).name == name
    view.destroy_secret(name)
    assert name not in [each.name for each in view.list_secrets(prefix=name)]


def test_more_than_a_page(client):
    """More than a thousand are read in parts and listed whole; to write them at once is refused."""
    view = client.user("many")
    names = [f"n/{n:04}" for n in range(1_001)]
    with pytest.raises(LimitExceeded):
        view.set_secrets(dict.fromkeys(names, "x"))
    view.set_secrets({name: name for name in names[:-1]})
    view.set_secret(names[-1], names[-1])
    found = view.get_secrets([*names, "none", names[0]])
    assert {name: secret.text() for name, secret in found.items()} == {name: name for name in names}
    assert [each.name for each in view.list_secrets()] == names
    page = view.list_secrets(limit=1_000)
    assert (len(page), page.cursor is not None) == (1_000, True)


def test_threads_share_a_client(client):
    """Check-and-set through one client from many threads: each version is won once."""
    won, lost = [], []

    def work():
        for _ in range(12):
            at = client.get_secret_metadata("shared", "counter").version
            try:
                won.append(client.set_secret("shared", "counter", "x", cas=at).version)
            except VersionConflict:
                lost.append(at)

    client.set_secret("shared", "counter", "x", max_versions=1_000)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) + len(lost) == 96
    assert sorted(won) == list(range(2, len(won) + 2))


def test_tasks_share_a_client(server):
    """A hundred tasks at once on one client, each with its own answer."""

    async def main():
        async with AsyncClient(server.addr, TOKEN) as ours:
            view = ours.user("tasks")
            await asyncio.gather(*(view.set_secret(f"t{n}", f"value {n}") for n in range(100)))
            found = await asyncio.gather(*(view.get_secret(f"t{n}") for n in range(100)))
            return [secret.text() for secret in found]

    assert asyncio.run(main()) == [f"value {n}" for n in range(100)]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what the first loop has left open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_is_not_carried_into_another_event_loop(server):
    """The second loop is told so before anything is sent; closing there is no error."""
    ours = AsyncClient(server.addr, TOKEN)
    assert asyncio.run(ours.set_secret("loops", "a", "x")).version == 1
    with pytest.raises(ConfigurationError, match="event loop"):
        asyncio.run(ours.set_secret("loops", "a", "x"))
    asyncio.run(ours.close())
    del ours
    gc.collect()
    with Client(server.addr, TOKEN) as other:
        assert other.get_secret_metadata("loops", "a").version == 1


def test_a_task_that_is_cancelled_leaves_the_client_usable(server):
    """Cancelling in the middle of a request closes its connection and no other."""

    async def main():
        async with AsyncClient(server.addr, TOKEN) as ours:
            for wait in (0, 0.0005, 0.002, 0.01):
                task = asyncio.create_task(ours.set_secret("tasks", "c", "x"))
                await asyncio.sleep(wait)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await ours.set_secret("tasks", "c", "last")
            return (await ours.get_secret("tasks", "c")).text()

    assert asyncio.run(main()) == "last"
