"""The record: everything that was measured, as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import stat
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from .comparison import Plan, Result, WorkloadResults
from .measures import Measures
from .tree import memory_kind

FORMAT = 1


def record(plan: Plan, results: Sequence[WorkloadResults], seconds: float) -> Mapping[str, Any]:
    """The whole comparison as plain values, with the units in the names.

    Args:
        plan: what was asked for.
        results: what came of it.
        seconds: that the comparison took.
    """
    return {
        "format": FORMAT,
        "environment": environment(),
        "options": {
            "strategies": [entry.expression for entry in plan.entries],
            "workloads": list(plan.workloads),
            "concurrency": plan.concurrency,
            "duration_seconds": plan.duration,
            "rounds": plan.rounds,
            "crunch_loops": plan.crunch_loops,
        },
        "memory_kind": memory_kind(),
        "took_seconds": round(seconds, 3),
        "workloads": [
            {
                "workload": one.workload.name,
                "summary": one.workload.summary,
                "strategies": [_of_result(result) for result in one.results],
            }
            for one in results
        ],
    }


def environment() -> Mapping[str, Any]:
    """What the figures depend on beside the options."""
    try:
        version = metadata.version("serverstrategy")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        version = None
    return {
        "serverstrategy": version,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
    }


class RecordFile:
    """Where the record goes: a file, or standard output for `-`.

    Args:
        name: the file's path, or `-`.
    """

    def __init__(self, name: str) -> None:
        self._path = None if name == "-" else Path(name).resolve()  # a link stays a link

    def check(self) -> None:
        """See that the record can be written, before anything is measured.

        Raises:
            OSError: it cannot, with the reason.
        """
        if self._path is None:
            return
        if self._path.exists():
            with self._path.open("r+b"):
                pass
        if self._is_replaced(self._path):
            with self._part(self._path).open("xb"):
                pass
            self._part(self._path).unlink()

    def write(self, content: Mapping[str, Any]) -> None:
        """Write the record, whole or not at all: a reader never finds half of one.

        Raises:
            OSError: it could not be written. An older file of that name is as it was.
        """
        text = json.dumps(content, indent=2) + "\n"
        if self._path is None:
            sys.stdout.write(text)
            sys.stdout.flush()
        elif not self._is_replaced(self._path):
            self._path.write_text(text, "utf-8")
        else:
            part = self._part(self._path)
            try:
                with part.open("x", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                if self._path.exists():
                    part.chmod(stat.S_IMODE(self._path.stat().st_mode))
                part.replace(self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    part.unlink()
                raise

    @staticmethod
    def _is_replaced(path: Path) -> bool:
        """Whether a new file takes its place; a device or a named pipe is written to instead."""
        return path.is_file() or not path.exists()

    @staticmethod
    def _part(path: Path) -> Path:
        return path.with_name(f".{path.name}.{os.getpid()}.part")


def _of_result(result: Result) -> Mapping[str, Any]:
    together = result.together()
    return {
        "strategy": result.expression,
        "failure": result.failure,
        "rounds": [_of_measures(one) for one in result.rounds],
        "together": None if together is None else _of_measures(together),
    }


def _of_measures(measures: Measures) -> Mapping[str, Any]:
    return {
        "connections_per_second": measures.rate,
        "latency_p50_seconds": measures.p50,
        "latency_p99_seconds": measures.p99,
        "cpu_seconds_per_connection": measures.cpu,
        "peak_memory_bytes": measures.footprint.memory,
        "processes": measures.footprint.processes,
        "threads": measures.footprint.threads,
        "completed": measures.completed,
        "errors": dict(measures.errors),
    }
