"""The page `docs/writing-a-strategy.md`: its files are those of the examples, its output is real.

    python tests/test_writing_a_strategy.py

runs the commands on the page, and puts their output there.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from serverstrategy import Strategy, StreamRequestHandler, TCPServer

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "writing-a-strategy.md"
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
PATIENCE = 20.0


class Command(NamedTuple):
    """A block of the page with a command, and the files that the page has shown before it."""

    line: str
    output: str
    files: dict[str, str]

    def run(self, folder: Path) -> str:
        """What it prints in `folder`, where the files are written."""
        for name, text in self.files.items():
            (folder / name).write_text(text)
        assert self.line.startswith("python ")
        done = subprocess.run(
            shlex.quote(sys.executable) + self.line.removeprefix("python"),
            shell=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            cwd=folder,
            env=os.environ | {"COLUMNS": "100"},
            text=True,
            timeout=170,
        )
        return done.stdout


def blocks() -> list[tuple[str, str]]:
    """The language and the text of each block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def files() -> list[tuple[str, str]]:
    """The name and the text of each block that begins with a comment that names it."""
    named = [(re.match(r"# (\w+\.py)\n", text), text) for _, text in blocks()]
    return [(match[1], text) for match, text in named if match]


def commands() -> list[Command]:
    found = []
    written: dict[str, str] = {}
    for language, text in blocks():
        if language == "console":
            line, output = text.removeprefix("$ ").split("\n", 1)
            found.append(Command(line, output, dict(written)))
        written |= {name: each for name, each in files() if each == text}
    return found


def without_figures(output: str) -> list[str]:
    """What two runs have in common: neither times nor ports, nor the blanks that align them."""
    return [" ".join(re.sub(r"\d+(\.\d+)?", "0", line).split()) for line in output.splitlines()]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_page_shows_the_file(file: Path) -> None:
    assert ("python", file.read_text()) in blocks()


def test_the_page_shows_no_other_file() -> None:
    shown = [text for _, text in blocks() if text.startswith('"""')]
    assert sorted(shown) == sorted(file.read_text() for file in EXAMPLES)


class Echo(StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.readline())


def right_strategies() -> list[str]:
    """The steps of the page; between each two is one with faults, which the next one mends."""
    return [text for name, text in files() if name == "mine.py"][::2]


@pytest.mark.parametrize("text", right_strategies(), ids=["each", "limit", "crew"])
def test_the_strategy_serves(text: str) -> None:
    names: dict[str, Any] = {}
    exec(text, names)
    (cls,) = (
        each
        for each in names.values()
        if isinstance(each, type) and issubclass(each, Strategy) and each is not Strategy
    )
    has_limit = cls.__init__ is not object.__init__
    with TCPServer(("127.0.0.1", 0), Echo, strategy=cls(3) if has_limit else cls()) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        clients = [socket.create_connection(server.server_address, PATIENCE) for _ in range(3)]
        for client in clients:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"hello\n"
            client.close()
        server.shutdown()
        thread.join()


def test_the_tests_pass(tmp_path: Path) -> None:
    for name, text in files():
        (tmp_path / name).write_text(text)
    clauses = ["constructor_starts_nothing", "no_thread_is_left"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", " or ".join(clauses), "test_mine.py"],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        text=True,
        timeout=55,
    )
    assert done.stdout.splitlines()[-1].startswith("2 passed"), done.stdout


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands print. All run at the same time, since they wait most of theirs."""
    with ThreadPoolExecutor(len(commands())) as pool:
        return list(pool.map(lambda each: each.run(tmp_path_factory.mktemp("page")), commands()))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", range(len(commands())), ids=[each.line for each in commands()])
def test_the_output_is_that_of_the_command(number: int, outputs: list[str]) -> None:
    assert without_figures(outputs[number]) == without_figures(commands()[number].output)


def refresh() -> None:
    """Put the output of the commands on the page."""
    page = PAGE.read_text()
    position = 0
    for command in commands():
        old = f"```console\n$ {command.line}\n{command.output}```\n"
        with tempfile.TemporaryDirectory() as folder:
            new = f"```console\n$ {command.line}\n{command.run(Path(folder))}```\n"
        position = page.index(old, position)
        page = page[:position] + new + page[position + len(old) :]
        position += len(new)
    PAGE.write_text(page)


if __name__ == "__main__":
    refresh()
