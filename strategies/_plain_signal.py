"""The module `signal` without its enums: numbers in, numbers out."""

from __future__ import annotations

import importlib
import signal
from typing import Any


def _find() -> Any:
    # `signal` turns each number that it returns into an enum member, 22 times a fork: that took
    # longer than the rest of the parent's part, and copied 30 pages in the child.
    try:
        return importlib.import_module("_signal")
    except ImportError:  # another Python than CPython and PyPy
        return signal


plain_signal = _find()
