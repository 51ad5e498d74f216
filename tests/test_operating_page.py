"""The page `docs/operating-prefork.md`: its programs do what it says, its status is real."""

from __future__ import annotations

import ast
import importlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from probes import PATIENCE, connect, probing, wait_until
from serverstrategy.strategies import Prefork
from test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "operating-prefork.md"


def block(part: str) -> str:
    """The one that has `part` in it."""
    (found,) = [each for each in blocks(PAGE) if part in each]
    return found


@contextmanager
def running(program: str, folder: Path, **keywords: Any) -> Iterator[tuple[Any, tuple[str, int]]]:
    """A program of the page, with a port that the system chooses, and its address."""
    file = folder / "program.py"
    file.write_text(
        program.replace("9000", "0").replace(
            "server.serve_forever()",
            "print(server.server_address[1], flush=True); server.serve_forever()",
        )
    )
    with subprocess.Popen(
        [sys.executable, str(file)], stdout=subprocess.PIPE, start_new_session=True, **keywords
    ) as process:
        try:
            assert process.stdout is not None
            yield process, ("127.0.0.1", int(process.stdout.readline()))
        finally:
            process.terminate()
            process.wait(PATIENCE)


def answer(address: tuple[str, int]) -> str:
    with connect(address, PATIENCE) as client, client.makefile() as reader:
        return reader.read()


def test_what_it_imports_is_there() -> None:
    nodes = [node for each in blocks(PAGE) for node in ast.walk(ast.parse(each))]
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    assert len(imports) >= 8
    for node in imports:
        module = importlib.import_module(node.module or "")
        assert [each.name for each in node.names if not hasattr(module, each.name)] == []


def test_the_program_obeys_its_signals(tmp_path: Path) -> None:
    def workers() -> list[Any]:
        found: list[Any] = json.loads(answer(address))["strategy"]["workers"]
        return [each for each in found if each["state"] not in ("closing", "retiring")]

    with running(block("def more("), tmp_path) as (process, address):
        assert wait_until(lambda: len(workers()) == 4)
        process.send_signal(signal.SIGTTIN)
        assert wait_until(lambda: len(workers()) == 5)
        process.send_signal(signal.SIGTTOU)
        assert wait_until(lambda: len(workers()) == 4)
        process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: [each["generation"] for each in workers()] == 4 * [1])
        process.terminate()
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(("part", "most"), [("Adaptive(", 10), ("class ByTheClock", 8)])
def test_the_sizes_can_be_built(part: str, most: int) -> None:
    names: dict[str, Any] = {}
    exec(block(part), names)
    strategy = names["strategy"]
    assert isinstance(strategy, Prefork)
    assert strategy.sizing.most == most
    assert 0 < strategy.sizing.wanted(0, 0) <= most


def test_the_server_in_a_process_of_its_own(tmp_path: Path) -> None:
    with running(block("def something_else"), tmp_path) as (process, address):
        serves = int(answer(address))
        assert serves != process.pid
        assert serves in [each.pid for each in psutil.Process(process.pid).children()]
        assert psutil.Process(serves).num_threads() == 1
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_listener_that_somebody_else_has(tmp_path: Path) -> None:
    """What connects while no program is there is served by the next one."""
    program = block("class Activated") + (
        "from serverstrategy import BaseRequestHandler\n"
        "from serverstrategy.strategies import Prefork\n"
        "class Hello(BaseRequestHandler):\n"
        "    def handle(self):\n"
        "        self.request.sendall(b'hello')\n"
        "with Activated(None, Hello, strategy=Prefork(2)) as server:\n"
        "    server.serve_forever()\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The program finds it under the number that systemd gives it.
        program = f"import os; os.dup2({listener.fileno()}, 3)\n" + program
        clients = []
        for _ in range(2):
            clients.append(connect(listener.getsockname(), PATIENCE))
            with running(program, tmp_path, pass_fds=[listener.fileno()]):
                assert clients[-1].recv(100) == b"hello"
        for client in clients:
            client.close()


def shape(value: Any) -> Any:
    """The keys, and the types of what they have; of a list the first one is an example."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_the_status_is_a_real_one() -> None:
    shown = ast.literal_eval(block('"serving": True'))
    with probing("Prefork(2, ThreadPool(3))", thread=True) as probe:
        client = probe.client()
        assert client.ask("echo hi") == "hi"
        real = json.loads(client.ask("status") or "")
        client.close()
        probe.tell("shutdown")
        probe.end_of_commands()
        probe.closed()
    for each in (shown, real):
        # The one with the connection comes first.
        each["strategy"]["workers"].sort(key=lambda worker: -worker["in_flight"])
    assert shape(shown) == shape(real)
    assert shown["strategy"]["strategy"] == real["strategy"]["strategy"]
