"""What the documentation shows works, and what it points to is there."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.request import urlopen

import pytest

from probes import wait_until

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def test_the_first_example_serves() -> None:
    first = blocks(ROOT / "README.md")[0]
    assert len(first.splitlines()) == 10
    program = first.replace("9000", "0").replace(
        "    server.serve_forever()",
        "    print(server.server_address[1], flush=True)\n    server.serve_forever()",
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        address = ("127.0.0.1", int(process.stdout.readline()))
        with socket.create_connection(address, 20) as client:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"hello\n"
        process.send_signal(signal.SIGINT)
        # By Ctrl-C it ends as any Python program does: killed by the signal, after the clean-up.
        assert process.wait(20) == -signal.SIGINT


def test_the_example_of_adopt_serves(tmp_path: Path) -> None:
    Path(tmp_path, "page.txt").write_text("a page")
    program = (
        blocks(ROOT / "README.md")[2]
        .replace("8000", "0")
        .replace(
            "server.serve_forever()",
            "print(server.server_address[1], flush=True)\nserver.serve_forever()",
        )
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with urlopen(f"http://127.0.0.1:{port}/page.txt", timeout=20) as page:
            assert page.read() == b"a page"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == -signal.SIGINT


def test_the_example_of_parse_holds() -> None:
    exec(blocks(ROOT / "README.md")[1], {})


def test_the_layers_of_the_page_on_choosing_can_be_built() -> None:
    exec(blocks(ROOT / "docs" / "choosing.md")[0], {})


def test_the_example_of_a_swap_swaps(tmp_path: Path) -> None:
    example = next(each for each in blocks(ROOT / "docs" / "choosing.md") if "reload" in each)
    handler = """
import os
from serverstrategy import StreamRequestHandler
class Echo(StreamRequestHandler):
    def handle(self):
        self.wfile.write(str(os.getpid()).encode())
"""
    program = (handler + example).replace("9000", "0")
    program = program.replace(
        "    server.serve_forever()",
        "    print(server.server_address[1], flush=True)\n    server.serve_forever()",
    )
    configured = tmp_path / "strategy.txt"
    configured.write_text("Threaded()")
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        address = ("127.0.0.1", int(process.stdout.readline()))

        def who_answers() -> int:
            with socket.create_connection(address, 20) as client:
                return int(client.recv(100))

        assert who_answers() == process.pid
        configured.write_text("Forking()")
        process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: who_answers() != process.pid)
        process.terminate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_python(page: Path) -> None:
    for block in blocks(page):
        compile(textwrap.dedent(block), page, "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_two_commands_are_one_line_each() -> None:
    commands = re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert [command.count("\n") for command in commands[:2]] == [1, 1]
    assert commands[0].endswith("serverstrategy compare\n")
    assert commands[1].endswith("-m pytest\n")
