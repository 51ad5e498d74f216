"""What a Prefork that serves a second time does about the workers of the first time."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from probes import PATIENCE, Client, is_gone, probing

INNER = ["Synchronous()", "ThreadPool(2)", "Forking(2)", "Prefork(1)"]


@pytest.mark.parametrize("inner", INNER)
def test_a_worker_of_the_first_time_that_hangs_is_ended_by_the_close(inner: str) -> None:
    with probing(f"Prefork(2, {inner})", again=True, grace=0.2) as probe, probe.client() as old:
        hung = psutil.Process(int(old.ask("pid") or 0))
        assert old.ask("sleep 600") == "sleeping"
        probe.signal(signal.SIGTERM)
        probe.expect("again")
        assert probe.answers()
        assert not is_gone(hung)
        probe.stop()
        assert is_gone(hung)
        assert old.receive() is None


@pytest.mark.parametrize("inner", INNER)
def test_a_worker_of_the_first_time_that_has_finished_is_not_missed(inner: str) -> None:
    with probing(f"Prefork(2, {inner})", again=True) as probe:
        with probe.client() as old:
            assert old.ask("echo old") == "old"
            probe.signal(signal.SIGTERM)
            probe.expect("again")
            assert probe.answers()
        probe.stop()
        assert "replacing it" not in probe.log()


WITH_MORE_WORKERS = """
import signal
from serverstrategy import StreamRequestHandler, TCPServer
from serverstrategy.strategies import Prefork

class Handler(StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)

with TCPServer(("127.0.0.1", 0), Handler, strategy=Prefork(1)) as server:
    signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
    print(server.server_address[1], flush=True)
    server.serve_forever()
    server.strategy.workers = 203
    try:
        server.serve_forever()
    except ValueError as error:
        print(error, flush=True)
    server.strategy.workers = 2
    server.serve_forever()
"""


@pytest.fixture
def program() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WITH_MORE_WORKERS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_has_the_scoreboard_of_the_first_time_while_its_workers_drain(
    program: subprocess.Popen[str],
) -> None:
    assert program.stdout is not None
    address = "127.0.0.1", int(program.stdout.readline())
    with Client(address) as old:
        assert old.ask("old") == "old"
        program.terminate()
        assert program.stdout.readline() == (
            "there is room for 202 workers, not for 203, until all have ended and "
            "serve_forever() is called again\n"
        )
        with Client(address) as new:
            assert new.ask("new") == "new"
        assert old.ask("still there") == "still there"
    program.terminate()
    assert program.wait(PATIENCE) == 0
