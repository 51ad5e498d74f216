"""The contract kit applied to many strategies, several at a time, since it waits most of its time.

As a program it judges what it reads: a line of JSON for each case, and one for its outcomes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from serverstrategy.strategies import parse
from serverstrategy.testing import Outcome, judge

# How many at a time.
_PROCESSES = 6


class Case(NamedTuple):
    """A strategy and what it is judged by.

    Attributes:
        strategy: the expression, as the command `check` takes it.
        clause: the name of a clause; None: all of them.
        patience: in seconds.
    """

    strategy: str
    clause: str | None = None
    patience: float = 5.0

    def judge(self) -> Iterator[Outcome]:
        make = partial(parse, self.strategy, allow_import=True)
        clauses = None if self.clause is None else [self.clause]
        return judge(make, clauses=clauses, patience=self.patience)


def judge_all(cases: Iterable[Case]) -> dict[Case, list[Outcome]]:
    """Judge them in processes of their own, since a process with threads should not fork."""
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    outcomes: dict[Case, list[Outcome]] = {}
    for case in sorted(cases, key=lambda case: case.clause is not None):  # the longest first
        waiting.put(case)

    def work(_: int) -> None:
        with subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            text=True,
        ) as judging:
            assert judging.stdin is not None
            assert judging.stdout is not None
            with contextlib.suppress(queue.Empty):
                while case := waiting.get_nowait():
                    print(json.dumps(case), file=judging.stdin, flush=True)
                    found = json.loads(judging.stdout.readline())
                    outcomes[case] = [Outcome(**each) for each in found]

    with ThreadPoolExecutor(_PROCESSES) as pool:
        list(pool.map(work, range(_PROCESSES)))
    return outcomes


def main() -> None:
    for line in sys.stdin:
        outcomes = Case(*json.loads(line)).judge()
        print(json.dumps([dataclasses.asdict(each) for each in outcomes]), flush=True)


if __name__ == "__main__":
    main()
