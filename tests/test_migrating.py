"""docs/migrating.md names all of `socketserver`, each row has a test, and the examples run."""

from __future__ import annotations

import importlib
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

from adopting import ANY_PORT
from migrating import NAMED, PAGE, SECTIONS, SHOWN, rows, shows
from probes import PATIENCE, wait_until
from test_docs import blocks

# Each registers what its tests show, also where pytest was asked for this file only.
for path in Path(__file__).parent.glob("test_migrating_*.py"):
    importlib.import_module(path.stem)

MIX_INS = (socketserver.ThreadingMixIn, socketserver.ForkingMixIn)


def names_of(things: list[Any]) -> set[str]:
    """What classes define, and what instances have, but for what is private."""
    return {name for thing in things for name in vars(thing) if not name.startswith("_")}


def standard_classes(*bases: type) -> list[Any]:
    found = (getattr(socketserver, name) for name in socketserver.__all__)
    return [cls for cls in found if issubclass(cls, bases)]


def handler_instances() -> Iterator[Any]:
    for cls, request in (
        (socketserver.StreamRequestHandler, None),
        (socketserver.DatagramRequestHandler, b"datagram"),
    ):
        ends = socket.socketpair(type=socket.SOCK_DGRAM if request else socket.SOCK_STREAM)
        with ends[0], ends[1]:

            class Kept(cls):  # type: ignore[misc,valid-type]
                def finish(self) -> None:
                    self.rfile.close()

            yield Kept((request, ends[0]) if request else ends[0], None, None)


def test_every_name_of_socketserver_has_a_row() -> None:
    """On every Python: with the names that its `socketserver` has."""
    with socketserver.TCPServer(ANY_PORT, socketserver.BaseRequestHandler) as server:
        wanted = {
            "classes": set(socketserver.__all__),
            "servers": names_of([*standard_classes(socketserver.BaseServer), server])
            | {"_handle_request_noblock", "__enter__", "__exit__"},
            "mix-ins": names_of(list(MIX_INS)) | {"_threads"},
            "handlers": names_of(
                [*standard_classes(socketserver.BaseRequestHandler), *handler_instances()]
            ),
        }
    for section, names in wanted.items():
        assert names - set(rows(section)) == set(), section
        gone = {"ForkingUnixStreamServer", "ForkingUnixDatagramServer"}  # new in Python 3.12
        assert set(rows(section)) - names <= gone, section


@pytest.mark.parametrize("section", SECTIONS)
def test_every_row_has_a_test_and_every_test_a_row(section: str) -> None:
    written = list(rows(section))
    assert len(written) == len(set(written)) > 0
    assert {row for where, row in SHOWN if where == section} == set(written)


@pytest.mark.parametrize("section", NAMED)
def test_every_row_is_one_of_a_table_of_three_columns(section: str) -> None:
    text = PAGE.read_text().partition(f"### {SECTIONS[section]}\n")[2].partition("\n#")[0]
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in table[:1] + table[2:]} == {2}


# The examples

Ask = Callable[[int], bytes]


@contextmanager
def running(program: str, folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """A program of the page, at a port that the system chooses; ended by Ctrl-C."""
    head, serve, tail = program.partition("    server.serve_forever()\n")
    assert serve
    assert not tail
    told = "    print(server.server_address[1], flush=True)\n"
    for port in ("8000", "9000"):
        head = head.replace(f", {port}", ", 0")
    with subprocess.Popen(
        [sys.executable, "-c", head + told + serve],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield psutil.Process(process.pid), int(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == -signal.SIGINT
        finally:
            process.kill()


def get(port: int, path: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path)
    with connection.getresponse() as response:
        assert response.status == 200
        return response.read()


def greet(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(b"world\n")
        return client.recv(100)


def at_once(ask: Ask, port: int) -> list[bytes]:
    answers: list[bytes] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(port))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return answers


@shows("ways", "a server object, before it serves")
def test_a_threading_http_server_serves_a_folder_by_two_changed_lines(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "hello.txt").write_text("hello\n")
    ask: Ask = partial(get, path="/hello.txt")
    program = blocks(PAGE)[0]
    changed = [line for line in program.splitlines(keepends=True) if "adopt" in line]
    assert len(changed) == 2
    before = "".join(line for line in program.splitlines(keepends=True) if line not in changed)
    assert "strateg" not in before
    for text, workers in ((before, 0), (program, 2)):
        with running(text, tmp_path) as (process, port):
            assert wait_until(lambda: len(process.children()) == workers)  # noqa: B023
            assert at_once(ask, port) == [b"hello\n"] * 8


@shows("ways", "a library that builds the server itself from a class that you name")
def test_the_example_of_with_strategy_serves(tmp_path: Path) -> None:
    with running(blocks(PAGE)[1], tmp_path) as (process, port):
        answer = at_once(partial(get, path="/"), port)[0]
        assert answer.startswith(b"Hello world!")
        assert b"wsgi.multithread = False" in answer  # as the page says
        # The pool's threads stay.
        assert process.num_threads() > 1


@shows("ways", "a class of your own, derived from one of `socketserver`")
def test_the_example_before_and_after_serves(tmp_path: Path) -> None:
    before, after = blocks(PAGE)[2:]
    for program in (before, after):
        with running(program, tmp_path) as (_, port):
            assert at_once(greet, port) == [b"Hello, world\n"] * 8
    # Two lines of imports and one of the server are all that differs.
    assert len(set(after.splitlines()) - set(before.splitlines())) == 3
