"""Requests without tasks: what they wait for, what is raised into them, and where they run."""

import asyncio
import contextvars
import gc
import http.client
import threading
import time

import pytest
import uvloop

from adyton.server import driver
from adyton.service.ticket import Aside, Ticket, resolve


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request):
    return request.param


def test_a_request_goes_on_within_the_call_that_resolves_its_ticket(run):
    """No round of the loop lies between: this is what it is for."""

    async def main():
        said = []

        async def work():
            said.append("begun")
            said.append(await ticket)

        ticket = Ticket(None, [])
        running = driver.Run(work(), asyncio.get_running_loop())
        assert said == ["begun"]
        ticket.succeed("done")
        resolve([ticket], asyncio.get_running_loop())
        assert said == ["begun", "done"]
        assert running.done()

    run(main())


def test_the_error_of_a_ticket_is_raised_in_the_request(run):
    """And what the request does with it is its own matter."""

    async def main():
        caught = []

        async def work():
            try:
                await ticket
            except LookupError as error:
                caught.append(error)

        ticket = Ticket(None, [])
        ticket.error = LookupError("no")
        driver.Run(work(), asyncio.get_running_loop())
        resolve([ticket], asyncio.get_running_loop())
        assert caught == [ticket.error]

    run(main())


def test_a_request_that_breaks_down_does_not_hold_up_others_of_its_group(run):
    """What it raises goes to the loop's handler; those behind it in the group go on."""

    async def main():
        loop = asyncio.get_running_loop()
        told, done = [], []
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))

        async def work(number, ticket):
            await ticket
            if number == 1:
                raise LookupError("broken")
            done.append(number)

        tickets = [Ticket(None, []) for _ in range(4)]
        running = [driver.Run(work(n, ticket), loop) for n, ticket in enumerate(tickets)]
        resolve(tickets, loop)
        assert done == [0, 2, 3]
        assert [type(error) for error in told] == [LookupError]
        assert all(one.done() for one in running)

    run(main())


def test_a_request_leaves_nothing_for_the_collector(run):
    """Cycles would keep what a request has held until tens of thousands more have come."""

    async def main():
        loop = asyncio.get_running_loop()

        async def work(ticket):
            await ticket

        def some():
            tickets = [Ticket(None, []) for _ in range(200)]
            for ticket in tickets:
                driver.Run(work(ticket), loop)
            resolve(tickets, loop)

        some()
        gc.collect()
        gc.disable()
        try:
            some()
            assert gc.collect() < 200
        finally:
            gc.enable()

    run(main())


def test_tickets_of_another_thread_wake_a_request_on_its_own_loop_once(run):
    """Resolved before, while and after the request begins to wait; never twice, never lost."""

    async def main():
        loop = asyncio.get_running_loop()
        own = threading.get_ident()
        threads, steps = set(), []

        async def work(tickets, ended):
            for number, ticket in enumerate(tickets):
                steps.append((number, await ticket))
                threads.add(threading.get_ident())
            ended.set_result(None)

        for delay in (0.0, 0.0, 0.0, 0.001):
            steps.clear()
            tickets = [Aside() for _ in range(50)]
            ended = loop.create_future()

            def resolve_all(tickets=tickets, delay=delay):
                for number, ticket in enumerate(tickets):
                    ticket.succeed(number)
                    ticket.resolve()
                    time.sleep(delay)

            thread = threading.Thread(target=resolve_all)
            thread.start()
            driver.Run(work(tickets, ended), loop)
            await asyncio.wait_for(ended, 10)
            thread.join()
            assert steps == [(number, number) for number in range(50)]
        assert threads == {own}

    run(main())


def test_futures_their_errors_and_bare_yields_are_waited_for(run):
    """As a task would: results and errors come out, a cancelled future raises in the request."""

    async def main():
        loop = asyncio.get_running_loop()
        said = []

        async def work(ended):
            said.append(await asyncio.wait_for(asyncio.sleep(0.001, "slept"), 1))
            await asyncio.sleep(0)
            try:
                await failing
            except LookupError:
                said.append("failed")
            try:
                await cancelled
            except asyncio.CancelledError:
                said.append("cancelled")
            ended.set_result(None)

        failing, cancelled, ended = (loop.create_future() for _ in range(3))
        loop.call_later(0.005, failing.set_exception, LookupError("no"))
        loop.call_later(0.010, cancelled.cancel)
        driver.Run(work(ended), loop)
        await asyncio.wait_for(ended, 5)
        assert said == ["slept", "failed", "cancelled"]

    run(main())


def test_each_request_has_context_variables_of_its_own(run):
    """What one sets, another that runs in between does not see, and neither does the loop."""
    variable = contextvars.ContextVar("variable", default="none")

    async def main():
        loop = asyncio.get_running_loop()
        seen = []

        async def work(name, ticket):
            variable.set(name)
            await ticket
            seen.append((name, variable.get()))

        tickets = [Ticket(None, []) for _ in range(3)]
        for number, ticket in enumerate(tickets):
            driver.Run(work(f"r{number}", ticket), loop)
        resolve(reversed(tickets), loop)
        assert seen == [("r2", "r2"), ("r1", "r1"), ("r0", "r0")]
        assert variable.get() == "none"

    run(main())


def test_only_requests_are_taken_from_the_loop_and_tasks_stay_tasks(run):
    """The factory knows Granian's coroutine by its name; the server's tests run the real one."""

    async def main():
        loop = asyncio.get_running_loop()
        driver.install(loop)
        seen = {}

        async def future_watcher():
            seen["request"] = asyncio.current_task()

        async def other():
            seen["task"] = asyncio.current_task()

        made = []
        loop.call_soon(lambda: made.append(loop.create_task(future_watcher())))
        await asyncio.sleep(0)
        assert made[0].done()
        assert not made[0].cancel()
        task = loop.create_task(other())
        await task
        assert seen == {"request": None, "task": task}
        assert isinstance(task, asyncio.Task)

    run(main())


def test_granian_still_names_its_coroutine_so():
    """Where it does not, requests are served all the same, by tasks, and this is to be mended."""
    from granian._futures import _future_watcher_wrapper

    async def inner(scope, protocol):
        """Not called."""

    coroutine = _future_watcher_wrapper(inner)(None)
    assert coroutine.__name__ == driver._OF_GRANIAN
    coroutine.close()


def test_a_task_can_run_a_request_to_its_end(run):
    """The way for a loop whose factory makes a task of a request."""

    async def main():
        said = []

        async def work():
            said.append(await asyncio.sleep(0.001, "slept"))
            said.append(await ticket)

        ticket = Ticket(None, [])
        ticket.succeed("done")
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, resolve, [ticket], loop)
        await asyncio.wait_for(driver.in_task(work()), 5)
        assert said == ["slept", "done"]

    run(main())


@pytest.mark.parametrize("head", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_body_that_stops_coming_is_given_up(head, tmp_path):
    """Both ways of reading a body end with the time that it may take, in a request without task."""
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    from adyton.server.app import Application, HttpLimits
    from adyton.server.http import Response
    from servers import free_port

    port = free_port()
    tasks = []

    async def answer(request):
        tasks.append(asyncio.current_task())
        return Response(200, request.body or b"-")

    def ask():
        deadline = time.monotonic() + 10
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.connect()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        part = b"5\r\nhello\r\n" if "chunked" in head else b"hello"
        connection.sock.sendall(f"POST /v1/a HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n".encode() + part)
        slow = connection.sock.recv(1000)
        connection.close()
        connection.request("POST", "/v1/a", b"whole")
        whole = connection.getresponse().read()
        connection.close()
        connection.request("POST", "/v1/a", iter([b"in", b" ", b"parts"]), encode_chunked=True)
        parts = connection.getresponse().read()
        connection.close()
        return slow, whole, parts

    async def main():
        driver.install(asyncio.get_running_loop())
        application = Application(answer, HttpLimits(body_seconds=0.3))
        server = Server(
            application, address="127.0.0.1", port=port, interface=Interfaces.RSGI,
            http=HTTPModes.http1, websockets=False, log_enabled=False,
        )  # fmt: skip
        serving = asyncio.create_task(server.serve())
        slow, whole, parts = await asyncio.to_thread(ask)
        application.stop()
        await asyncio.wait_for(application.idle.wait(), 5)
        server.stop()
        await serving
        assert slow.startswith(b"HTTP/1.1 408")
        assert (whole, parts) == (b"whole", b"in parts")
        assert tasks == [None, None]

    uvloop.run(main())
