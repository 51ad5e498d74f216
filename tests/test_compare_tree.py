"""What a process and everything that it forked takes, measured on real processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from serverstrategy.compare import tree as tree_module
from serverstrategy.compare.tree import COUNTS_REAPED_CHILDREN, Footprint, ProcessTree

BURN = """
import os, sys, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
def fork(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid
"""


class Script:
    """A Python process that goes on by one step for each line that it is sent."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.pid = process.pid

    def step(self) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@contextmanager
def script(text: str) -> Iterator[Script]:
    with subprocess.Popen(
        [sys.executable, "-c", BURN + text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Script(process)
        finally:
            os.killpg(process.pid, 9)


@pytest.mark.skipif(not COUNTS_REAPED_CHILDREN, reason="not told by this system")
def test_the_cpu_of_reaped_children_is_counted() -> None:
    text = """
input(); print("ready", flush=True)
input()
for _ in range(2):
    os.waitpid(fork(lambda: burn(0.15)), 0)
print("reaped", flush=True)
input()
"""
    with script(text) as parent:
        tree = ProcessTree(parent.pid)
        assert parent.step() == "ready\n"
        before = tree.cpu_seconds()
        assert parent.step() == "reaped\n"
        assert tree.pids() == {parent.pid}
        assert 0.27 < tree.cpu_seconds() - before < 0.45


def test_the_cpu_of_living_children_and_grandchildren_is_counted() -> None:
    text = """
input(); print("ready", flush=True)
def work():
    burn(0.1)
    reading, writing = os.pipe()
    def grandchild():
        burn(0.1)
        os.write(writing, b"x")
        time.sleep(60)
    fork(grandchild)
    os.read(reading, 1)
    print("burnt", flush=True)
    time.sleep(60)
input()
fork(work)
time.sleep(60)
"""
    with script(text) as parent:
        tree = ProcessTree(parent.pid)
        assert parent.step() == "ready\n"
        before = tree.cpu_seconds()
        assert parent.step() == "burnt\n"
        assert len(tree.pids()) == 3
        assert 0.18 < tree.cpu_seconds() - before < 0.35


def test_the_footprint_counts_processes_threads_and_memory() -> None:
    text = """
import threading
input(); print("ready", flush=True)
def work():
    block = bytearray(os.urandom(1 << 20) * 32)
    print("forked", flush=True)
    time.sleep(60)
input()
for _ in range(2):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
fork(work)
time.sleep(60)
"""
    with script(text) as parent:
        tree = ProcessTree(parent.pid)
        parent.step()
        before = tree.footprint()
        assert (before.processes, before.threads) == (1, 1)
        assert before.memory > 1 << 20
        assert parent.step() == "forked\n"
        after = tree.footprint()
        assert (after.processes, after.threads) == (2, 4)
        assert after.memory - before.memory > 30 << 20


def test_a_zombie_is_no_process_of_the_footprint() -> None:
    text = """
input()
pid = fork(lambda: None)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) if hasattr(os, "waitid") else time.sleep(1)
print("ended", flush=True)
input()
"""
    with script(text) as parent:
        tree = ProcessTree(parent.pid)
        assert parent.step() == "ended\n"
        assert len(tree.pids()) == 2
        assert tree.footprint().processes == 1


def test_settling_waits_for_the_children_to_be_reaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "SETTLE_TIMEOUT", 20)
    text = """
input()
pid = fork(lambda: time.sleep(0.5))
print("forked", flush=True)
os.waitpid(pid, 0)
input()
"""
    with script(text) as parent:
        tree = ProcessTree(parent.pid)
        parent.step()
        assert len(tree.pids()) == 2
        tree.settle({parent.pid})
        assert tree.pids() == {parent.pid}


def test_settling_gives_up_on_a_child_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "SETTLE_TIMEOUT", 0.1)
    text = """
input()
fork(lambda: time.sleep(60))
print("forked", flush=True)
time.sleep(60)
"""
    with script(text) as parent:
        tree = ProcessTree(parent.pid)
        parent.step()
        tree.settle({parent.pid})
        assert len(tree.pids()) == 2


def test_a_process_that_is_gone_takes_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    tree = ProcessTree(process.pid)
    assert tree.cpu_seconds() == 0
    assert tree.footprint() == Footprint(0, 0, 0)
    assert tree.pids() == set()


def test_the_clock_of_a_process_agrees_with_its_own() -> None:
    with script("input(); burn(0.3); print(time.process_time(), flush=True); input()") as parent:
        own = float(parent.step())
        assert ProcessTree(parent.pid).cpu_seconds() == pytest.approx(own, abs=0.03)
