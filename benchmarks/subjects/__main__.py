"""The process of a server: `python -m benchmarks.subjects NAME DUTY`.

It prints its port, and serves until it is killed or nobody holds the other end of its standard
input.
"""

from __future__ import annotations

import importlib
import sys

from benchmarks.kinds import kind_of

from .duty import Duty
from .lifeline import end_with_standard_input


def main(name: str, duty: str) -> None:
    """Serve.

    Args:
        name: see `kinds`.
        duty: see `Duty.parse`.
    """
    end_with_standard_input()
    module = importlib.import_module(f"benchmarks.subjects.{kind_of(name).module}")
    module.serve(name, Duty.parse(duty))


if __name__ == "__main__":
    main(*sys.argv[1:])
