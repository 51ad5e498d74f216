"""The strategies of `docs/examples`, beyond what the contract asks: what each one is for."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import succeeding
from asyncio_loop import AsyncioLoop
from executor import OnExecutor
from per_client import PerClientLimit
from serverstrategy import Strategy, StreamRequestHandler, TCPServer
from serverstrategy.strategies import Threaded

PATIENCE = 20.0
FOLDER = Path(__file__).parent.parent / "docs" / "examples"


class Lines(StreamRequestHandler):
    """Answers each line with what `answer` makes of it."""

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(self.answer(line))

    def answer(self, line: bytes) -> bytes:
        return line


class Server(TCPServer):
    errors: list[BaseException]

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        assert error is not None
        self.errors.append(error)


@contextmanager
def serving(strategy: Strategy, handler: type[Lines] = Lines) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), handler, strategy=strategy) as server:
        server.errors = []
        with succeeding.serving(server):
            yield server


def connect(server: Server) -> socket.socket:
    return socket.create_connection(server.server_address, PATIENCE)


def ask(client: socket.socket, line: bytes = b"hello\n") -> bytes:
    client.sendall(line)
    return client.recv(100)


# Executor


def test_any_executor_may_run_the_handlers() -> None:
    class OnNamed(OnExecutor):
        def make_executor(self) -> concurrent.futures.Executor:
            return concurrent.futures.ThreadPoolExecutor(thread_name_prefix="named")

    class TellThread(Lines):
        def answer(self, line: bytes) -> bytes:
            return threading.current_thread().name.encode()

    with serving(OnNamed(2), TellThread) as server, connect(server) as client:
        assert ask(client).startswith(b"named")


def test_a_task_that_was_queued_in_spite_of_an_error_handles_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What `ThreadPoolExecutor.submit` does where no thread can be started."""

    def no_thread(*_: object) -> None:
        monkeypatch.undo()
        raise RuntimeError("can't start new thread")

    pool = concurrent.futures.ThreadPoolExecutor
    with serving(OnExecutor(2)) as server:
        monkeypatch.setattr(pool, "_adjust_thread_count", no_thread)
        with connect(server) as client:
            assert client.recv(100) == b""
        with connect(server) as client:
            assert ask(client) == b"hello\n"
    assert [type(error) for error in server.errors] == [RuntimeError]


# asyncio


def test_a_handler_can_give_the_loop_a_coroutine() -> None:
    async def thread() -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    class Ask(Lines):
        def answer(self, line: bytes) -> bytes:
            future = asyncio.run_coroutine_threadsafe(thread(), self.server.strategy.loop)
            return str(future.result(PATIENCE)).encode()

    with serving(AsyncioLoop(2), Ask) as server, connect(server) as client:
        assert ask(client) == str(server._serverstrategy.serving.thread).encode()


def test_a_task_runs_while_the_server_waits() -> None:
    strategy = AsyncioLoop(2)
    ran = threading.Event()

    async def run() -> None:
        await asyncio.sleep(0.01)
        ran.set()

    with serving(strategy):
        task = asyncio.run_coroutine_threadsafe(run(), strategy.loop)
        assert ran.wait(PATIENCE)
        task.result(PATIENCE)


# A limit for each client


def test_a_client_has_no_more_than_its_share() -> None:
    with serving(PerClientLimit(2, Threaded())) as server, ExitStack() as stack:
        first, second, third = (stack.enter_context(connect(server)) for _ in range(3))
        assert ask(first) == ask(second) == b"hello\n"
        assert third.recv(100) == b""
        other = stack.enter_context(
            socket.create_connection(server.server_address, PATIENCE, ("127.0.0.2", 0))
        )
        assert ask(other) == b"hello\n"
    assert server.errors == []


def test_what_a_client_gives_up_it_may_have_again() -> None:
    with serving(PerClientLimit(1, Threaded())) as server:
        for _ in range(3):
            with connect(server) as client:
                assert ask(client) == b"hello\n"
            assert server.in_flight.wait_for_none(PATIENCE)


# gevent: in a process of its own, since importing it changes the process


GREENLETS = """
import gevent_each

import signal

import gevent
from serverstrategy import StreamRequestHandler, TCPServer

class Echo(StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)

class Server(TCPServer):
    request_queue_size = 300

with Server(("127.0.0.1", 0), Echo, strategy=gevent_each.GeventEach(250)) as server:
    gevent.signal_handler(signal.SIGINT, server.shutdown)
    signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
    print(server.server_address[1], flush=True)
    server.serve_forever()
print(len(server.in_flight), flush=True)
"""


@contextmanager
def greenlets() -> Iterator[tuple[subprocess.Popen[bytes], tuple[str, int]]]:
    environment = os.environ | {"PYTHONPATH": str(FOLDER)}
    command = [sys.executable, "-c", GREENLETS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process, ("127.0.0.1", int(process.stdout.readline()))
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_200_connections_have_a_greenlet_each_and_one_thread(number: int) -> None:
    with greenlets() as (process, address), ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(200)
        ]
        assert [ask(client) for client in clients] == [b"hello\n"] * 200
        assert psutil.Process(process.pid).num_threads() == 1
        process.send_signal(number)
        # What is in flight is served to its end.
        assert [ask(client) for client in clients] == [b"hello\n"] * 200
        for client in clients:
            client.close()
        assert process.stdout is not None
        assert process.stdout.read() == b"0\n"
        assert process.wait(PATIENCE) == 0


# The comparison


@pytest.mark.parametrize(
    "strategy",
    [
        "executor:OnExecutor(4)",
        "gevent_each:GeventEach(100)",
        "asyncio_loop:AsyncioLoop(4)",
        "per_client:PerClientLimit(100, ThreadPool(4))",
    ],
)
def test_it_is_compared_with_ours(strategy: str) -> None:
    command = f"{sys.executable} -m serverstrategy compare --duration 0.1 --rounds 1 --json -"
    done = subprocess.run(
        [*command.split(), "--strategy", strategy, "--strategy", "ThreadPool(4)"],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(FOLDER)},
        timeout=55,
    )
    assert done.returncode == 0, done.stderr.decode()
    record = json.loads(done.stdout)
    results = [each for workload in record["workloads"] for each in workload["strategies"]]
    assert {each["strategy"] for each in results} == {strategy, "ThreadPool(4)"}
    assert all(each["failure"] is None and each["together"] for each in results)
