"""The tests' side of `probe.py`: starting it, talking to it, and seeing that nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

PATIENCE = 20.0
"""How long a test waits for what must come, in seconds: long, for a loaded machine."""

STRATEGIES = [
    "Synchronous()",
    "Threaded()",
    "ThreadPool(4)",
    "Forking()",
    "Prefork(2)",
    "Prefork(2, ThreadPool(4))",
    "Prefork(2, Forking(10))",
    "Prefork(2, Threaded(100))",
]
FORKING = [text for text in STRATEGIES if "ork" in text]
PREFORKS = [text for text in STRATEGIES if text.startswith("Prefork")]
CONCURRENT = [text for text in STRATEGIES if text not in ("Synchronous()", "Prefork(2)")]


Address = tuple[str, int] | str


class Client:
    """One connection to a probe."""

    def __init__(self, address: Address, timeout: float = PATIENCE) -> None:
        self.socket = connect(address, timeout)
        self.reader = self.socket.makefile("rb")

    def send(self, command: str) -> None:
        self.socket.sendall(f"{command}\n".encode())

    def receive(self) -> str | None:
        """The next line; None at the end of file or a reset."""
        try:
            line = self.reader.readline()
        except ConnectionResetError:
            return None
        return line.decode().rstrip("\n") if line else None

    def ask(self, command: str) -> str | None:
        self.send(command)
        return self.receive()

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(address: Address, timeout: float) -> socket.socket:
    if not isinstance(address, str):
        return socket.create_connection(address, timeout)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


class Probe:
    """A running `probe.py`, in a process group of its own."""

    def __init__(self, strategy: str, patience: float = PATIENCE, **options: Any) -> None:
        self.patience = PATIENCE
        self.obeys = bool(options.get("thread"))
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.seen: list[dict[str, Any]] = []
        self._clients: list[Client] = []
        self._unclaimed: list[dict[str, Any]] = []
        self.output: list[str] = []
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("probe.py"), strategy, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.tree: list[psutil.Process] = [psutil.Process(self.pid)]
        try:
            address = self.expect("listening")["address"]
            self.address: Address = address if isinstance(address, str) else tuple(address)
            self.patience = patience
        except BaseException:
            self.end()
            raise

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                self._events.put(json.loads(line))
            except ValueError:
                self.output.append(line.decode())
        self._events.put(None)

    def expect(self, event: str, **fields: Any) -> dict[str, Any]:
        """Wait for an event that no earlier call has returned, and return it.

        Events that come from several processes and threads have no order among each other.
        """
        deadline = time.monotonic() + self.patience
        fields["event"] = event
        for found in self._unclaimed:
            if fields.items() <= found.items():
                self._unclaimed.remove(found)
                return found
        while True:
            try:
                found = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {event!r} came: {self.seen}\n{self.log()}") from None
            if found is None:
                self._events.put(None)
            assert found is not None, f"it ended without {event!r}: {self.seen}\n{self.log()}"
            self.seen.append(found)
            if fields.items() <= found.items():
                return found
            self._unclaimed.append(found)

    def count(self, event: str) -> int:
        return sum(each["event"] == event for each in self.seen)

    def client(self, timeout: float | None = None) -> Client:
        """A new connection, which `end` closes if nobody does."""
        client = Client(self.address, self.patience if timeout is None else timeout)
        self._clients.append(client)
        return client

    def clients(self, number: int) -> list[Client]:
        return [self.client() for _ in range(number)]

    def ask(self, command: str) -> str | None:
        """Ask over a connection of its own."""
        with self.client() as client:
            return client.ask(command)

    def answers(self) -> bool:
        """Whether a new connection is served."""
        try:
            return self.ask("echo hi") == "hi"
        except OSError:
            return False

    def refuses(self) -> bool:
        """Whether nobody listens at its port."""
        try:
            connect(self.address, 1.0).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:  # it was closed at this moment
            return False
        return False

    def tell(self, command: str) -> None:
        """Have the main thread call a method, if the probe serves in a thread."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()

    def end_of_commands(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def signal_all(self, number: int) -> int:
        """Send a signal to each of its processes; returns how many there are."""
        processes = [psutil.Process(self.pid), *self.children()]
        for process in processes:
            process.send_signal(number)
        return len(processes)

    def interrupt(self) -> None:
        """What Ctrl-C in a terminal does: SIGINT to the whole group."""
        os.killpg(self.pid, signal.SIGINT)

    def children(self) -> list[psutil.Process]:
        """The processes below the probe, zombies included."""
        found: list[psutil.Process] = psutil.Process(self.pid).children(recursive=True)
        self.tree += [child for child in found if child not in self.tree]
        return found

    def pids(self) -> list[int]:
        """Its own process identifier, and those of the processes below it."""
        return [self.pid, *(child.pid for child in self.children())]

    def switches(self) -> int:
        """How often its processes and threads have gone to sleep, which they do once a wake-up."""
        return sum(switches(pid) for pid in self.pids())

    def wait_until_idle(self) -> None:
        """Wait until all of it has slept through a few looks in a row."""
        last = [-1, -2, -3]

        def is_idle() -> bool:
            last[:] = [*last[1:], self.switches()]
            # On a busy machine one may have woken up, and wait for a processor.
            return len(set(last)) == 1 and not any(map(is_awake, self.pids()))

        assert wait_until(is_idle)

    def log(self) -> str:
        # The probe writes at the position of the file, which it shares: it must not be moved.
        fd = self._log.fileno()
        return os.pread(fd, os.fstat(fd).st_size, 0).decode()

    def stop(self) -> dict[str, Any]:
        """Stop it by SIGTERM, which calls `shutdown`; return what it told when it was closed."""
        self.signal(signal.SIGTERM)
        return self.closed()

    def closed(self) -> dict[str, Any]:
        found = self.expect("closed")
        assert found["fds"] == 0, found
        assert found["threads"] == 0, found
        assert found["children"] == [], found
        assert self.process.wait(self.patience) == 0, self.log()
        return found

    def end(self) -> None:
        """Kill what is left of it, and close what is left on this side."""
        for client in self._clients:
            client.close()
        with contextlib.suppress(psutil.NoSuchProcess):
            self.children()
        for process in self.tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()


@contextlib.contextmanager
def probing(strategy: str, **options: Any) -> Iterator[Probe]:
    probe = Probe(strategy, **options)
    try:
        yield probe
    finally:
        probe.end()


def switches(pid: int) -> int:
    """How often the threads of a process have gone to sleep; 0 if it has ended meanwhile."""
    # A folder of /proc goes away with its thread or process, between any two looks at it.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return sum(_switches(task) for task in Path(f"/proc/{pid}/task").iterdir())
    return 0


def is_awake(pid: int) -> bool:
    """Whether a thread of a process runs, or waits for a processor to run on."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return any(_status(task, "State") == "R" for task in Path(f"/proc/{pid}/task").iterdir())
    return False


def _switches(task: Path) -> int:
    return int(_status(task, "voluntary_ctxt_switches") or 0)


def _status(task: Path, name: str) -> str | None:
    """What proc(5) says of a thread under this name; None if it has ended meanwhile."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in (task / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return line.split()[1]
    return None


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended. One that nobody reaps is a zombie, which has ended too."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Ask, at short intervals, for what no event tells: the state of another process."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
