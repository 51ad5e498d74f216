"""The strategies of `docs/examples` fulfil the contract."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncio_loop import AsyncioLoop
from executor import OnExecutor
from per_client import PerClientLimit
from serverstrategy.strategies import Threaded, ThreadPool
from serverstrategy.testing import strategy_contract

FOLDER = Path(__file__).parent.parent / "docs" / "examples"

TestOnExecutor = strategy_contract(lambda: OnExecutor(3))
TestAsyncioLoop = strategy_contract(lambda: AsyncioLoop(3))
TestPerClientLimit = strategy_contract(lambda: PerClientLimit(100, ThreadPool(3)))
TestPerClientLimitWithoutEnd = strategy_contract(lambda: PerClientLimit(100, Threaded()))


@pytest.mark.parametrize("strategy", ["gevent_each:GeventEach()", "gevent_each:GeventEach(3)"])
def test_gevent(strategy: str) -> None:
    """In a process of its own, since importing it changes the process."""
    done = subprocess.run(
        [sys.executable, "-m", "serverstrategy", "check", strategy],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(FOLDER)},
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout + done.stderr
