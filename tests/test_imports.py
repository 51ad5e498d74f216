"""Who may import whom: the import rules of the house."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

import serverstrategy
from serverstrategy import strategies

PACKAGE = "serverstrategy"
ROOMS = ["core", "strategies", "compare", "operate"]


class Import(NamedTuple):
    """One import of a module."""

    file: str
    line: int
    module: str  # absolute, also for a relative import
    is_relative: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def package_of(room: str) -> str:
    return PACKAGE if room == "core" else f"{PACKAGE}.{room}"


def folder(room: str) -> Path | None:
    spec = find_spec(package_of(room))
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def files(room: str) -> list[Path]:
    found = folder(room)
    return [] if found is None else sorted(found.glob("*.py"))


def imports_in(text: str, package: str, file: str) -> Iterator[Import]:
    """Every import of the source `text`, wherever it stands, also those for type checkers only."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name, False)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, base]) if base else ".".join(parts)
            for alias in node.names:
                # `from package import module` imports the module too.
                name = f"{base}.{alias.name}"
                is_module = base == package_root(base) and is_a_module(name)
                yield Import(file, node.lineno, name if is_module else base, bool(node.level))


def package_root(module: str) -> str:
    """`module` itself if it is one of the packages of this project."""
    return module if module in {package_of(room) for room in ROOMS} else ""


def is_a_module(name: str) -> bool:
    room, _, last = name.rpartition(".")
    names = {package_of(each): folder(each) for each in ROOMS}
    if name in names:
        return names[name] is not None
    base = names.get(room)
    return base is not None and (base / f"{last}.py").exists()


def imports(room: str) -> list[Import]:
    return [
        each
        for file in files(room)
        for each in imports_in(
            file.read_text(encoding="utf-8"), package_of(room), f"{room}/{file.name}"
        )
    ]


def room_of(module: str) -> str | None:
    """The room that `module` is in; None if it is none of this project's."""
    first, _, rest = module.partition(".")
    if first != PACKAGE:
        return None
    second = rest.partition(".")[0]
    return second if second in ROOMS else "core"


def listed(found: list[Import]) -> list[str]:
    return [str(each) for each in found]


# The rules


def test_there_is_something_to_look_at() -> None:
    assert len(files("core")) > 5
    assert len(files("strategies")) > 5
    assert len(imports("core")) > 30
    assert len(imports("strategies")) > 30


@pytest.mark.parametrize("room", ["core", "strategies"])
def test_the_library_needs_nothing_but_the_standard_library(room: str) -> None:
    assert [
        str(each)
        for each in imports(room)
        if room_of(each.module) is None
        and each.module.partition(".")[0] not in sys.stdlib_module_names
    ] == []


@pytest.mark.parametrize("room", ROOMS)
def test_imports_inside_a_room_are_relative_and_across_rooms_absolute(room: str) -> None:
    wrong = [
        each
        for each in imports(room)
        if room_of(each.module) is not None
        and each.is_relative is not (room_of(each.module) == room)
    ]
    assert listed(wrong) == []


def test_core_imports_no_other_room() -> None:
    wrong = [
        each
        for each in imports("core")
        if room_of(each.module) not in (None, "core") and each.file != "core/__main__.py"
    ]
    assert listed(wrong) == []


def test_the_command_looks_into_the_other_rooms_only_when_it_is_asked() -> None:
    (file,) = (each for each in files("core") if each.name == "__main__.py")
    top_level = ast.Module(
        [
            node
            for node in ast.parse(file.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Import | ast.ImportFrom)
        ],
        [],
    )
    found = imports_in(ast.unparse(top_level), PACKAGE, "core/__main__.py")
    assert [str(each) for each in found if room_of(each.module) is not None] == []


def test_strategies_import_neither_the_server_nor_the_whole_package() -> None:
    never = {PACKAGE, f"{PACKAGE}.server", f"{PACKAGE}.base_server", f"{PACKAGE}.__main__"}
    assert listed([each for each in imports("strategies") if each.module in never]) == []


def test_strategies_import_core_only() -> None:
    wrong = [
        each
        for each in imports("strategies")
        if room_of(each.module) not in (None, "core", "strategies")
    ]
    assert listed(wrong) == []


@pytest.mark.parametrize("room", ["core", "strategies", "operate"])
def test_nobody_imports_compare(room: str) -> None:
    wrong = [
        each
        for each in imports(room)
        if room_of(each.module) == "compare" and each.file != "core/__main__.py"
    ]
    assert listed(wrong) == []


def test_compare_does_not_import_operate() -> None:
    wrong = [each for each in imports("compare") if room_of(each.module) == "operate"]
    assert listed(wrong) == []


@pytest.mark.parametrize("room", ROOMS)
def test_nobody_imports_a_folder_by_its_name(room: str) -> None:
    wrong = [each for each in imports(room) if each.module.partition(".")[0] in ROOMS]
    assert listed(wrong) == []


@pytest.mark.parametrize("room", ["core", "strategies"])
def test_nobody_waits_for_a_child_that_is_not_its_own(room: str) -> None:
    """No call of waitpid(-1) or of wait(): they take the children of the application."""
    found = []
    for file in files(room):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            first = ast.unparse(node.args[0]) if node.args else ""
            if called in ("os.wait", "os.wait3") or (
                called in ("os.waitpid", "os.wait4") and first in ("-1", "0")
            ):
                found.append(f"{room}/{file.name}:{node.lineno} {ast.unparse(node)}")
            if called == "os.waitid" and first == "os.P_ALL":
                found.append(f"{room}/{file.name}:{node.lineno} {ast.unparse(node)}")
    assert found == []


@pytest.mark.parametrize("room", ["core", "strategies"])
def test_nobody_evaluates_text(room: str) -> None:
    found = [
        f"{room}/{file.name}:{node.lineno}"
        for file in files(room)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("eval", "exec", "compile")
    ]
    assert found == []


# The rules' own eyes


@pytest.mark.parametrize(
    ("package", "text", "module", "is_relative"),
    [
        (f"{PACKAGE}.strategies", "import os", "os", False),
        (f"{PACKAGE}.strategies", "import os.path as p", "os.path", False),
        (f"{PACKAGE}.strategies", "from os import path", "os", False),
        (f"{PACKAGE}.strategies", "import serverstrategy.server", f"{PACKAGE}.server", False),
        (f"{PACKAGE}.strategies", "from serverstrategy import server", f"{PACKAGE}.server", False),
        (f"{PACKAGE}.strategies", "from serverstrategy import TCPServer", PACKAGE, False),
        (f"{PACKAGE}.strategies", "from ..server import x", f"{PACKAGE}.server", True),
        (f"{PACKAGE}.strategies", "from .. import server", f"{PACKAGE}.server", True),
        (f"{PACKAGE}.strategies", "from .forking import x", f"{PACKAGE}.strategies.forking", True),
        (f"{PACKAGE}.strategies", "from . import forking", f"{PACKAGE}.strategies.forking", True),
        (f"{PACKAGE}.strategies", "def f():\n    import core.server", "core.server", False),
        (PACKAGE, "from . import strategies", f"{PACKAGE}.strategies", True),
        (PACKAGE, "from .strategies import Prefork", f"{PACKAGE}.strategies", True),
        (PACKAGE, "if TYPE_CHECKING:\n    from .server import x", f"{PACKAGE}.server", True),
        (PACKAGE, "from serverstrategy import compare", f"{PACKAGE}.compare", False),
    ],
)
def test_an_import_is_seen(package: str, text: str, module: str, is_relative: bool) -> None:
    (found,) = imports_in(text, package, "x.py")
    assert (found.module, found.is_relative) == (module, is_relative)


@pytest.mark.parametrize(
    ("module", "room"),
    [
        ("os", None),
        ("serverstrategy", "core"),
        ("serverstrategy.server", "core"),
        ("serverstrategy.strategies", "strategies"),
        ("serverstrategy.strategies.forking", "strategies"),
        ("serverstrategy.compare.load", "compare"),
        ("serverstrategyx", None),
    ],
)
def test_a_module_is_found_in_its_room(module: str, room: str | None) -> None:
    assert room_of(module) == room


# What importing loads


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter loads for `statement`, which may print nothing."""
    program = (
        "import json, sys; before = set(sys.modules);"
        f"{statement};"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=True, capture_output=True, timeout=50
    )
    assert done.stderr == b""
    return set(json.loads(done.stdout))


HEAVY = {
    *("asyncio", "multiprocessing", "concurrent.futures", "inspect", "ast", "importlib.metadata"),
    *("psutil", "rich"),
}


@pytest.mark.parametrize("module", ["serverstrategy", "serverstrategy.strategies"])
def test_importing_loads_nothing_outside_the_standard_library(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert module in loaded
    outside = {
        each
        for each in loaded
        if each.partition(".")[0] not in {*sys.stdlib_module_names, PACKAGE}
        and not each.startswith("__editable__")
    }
    assert outside == set()


@pytest.mark.parametrize("module", ["serverstrategy", "serverstrategy.strategies"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(f"import {module}") & HEAVY == set()


def test_importing_the_package_loads_no_other_room() -> None:
    loaded = loaded_by("import serverstrategy")
    assert {each for each in loaded if room_of(each) not in (None, "core")} == set()


def test_a_strategy_loads_no_other() -> None:
    loaded = loaded_by("from serverstrategy.strategies import Forking")
    others = {"_spares", "limit", "parsing", "prefork", "thread_pool", "threaded"}
    assert loaded & {f"{PACKAGE}.strategies.{each}" for each in others} == set()


def test_all_that_the_strategies_offer_can_be_asked_for() -> None:
    assert set(strategies.__all__) <= set(dir(strategies))
    assert all(hasattr(strategies, each) for each in strategies.__all__)
    assert not hasattr(strategies, "Asyncio")


def test_reading_and_writing_strategies_needs_nothing_heavy_but_the_reader() -> None:
    loaded = loaded_by("from serverstrategy.strategies import parse; repr(parse('Threaded(4)'))")
    assert loaded & HEAVY <= {"inspect", "ast"}


@pytest.mark.parametrize(
    "module",
    [
        f"{package_of(room)}.{file.stem}"
        for room in ("core", "strategies")
        for file in files(room)
        if not file.stem.startswith("__")
    ],
)
def test_each_module_can_be_imported_first(module: str) -> None:
    assert module in loaded_by(f"import {module}")


def test_importing_starts_no_thread_and_handles_no_signal() -> None:
    loaded_by(
        "import serverstrategy.strategies, threading, signal;"
        "assert threading.active_count() == 1;"
        "assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL"
    )


# What is public


def test_what_the_package_offers() -> None:
    assert sorted(serverstrategy.__all__) == [
        "BaseRequestHandler",
        "BaseServer",
        "Connection",
        "ConnectionFate",
        "DatagramRequestHandler",
        "DrainReport",
        "InFlight",
        "Server",
        "StopSignal",
        "Strategy",
        "StreamRequestHandler",
        "TCPServer",
        "UDPServer",
        "UnixDatagramServer",
        "UnixStreamServer",
        "adopt",
        "status",
        "with_strategy",
    ]


def test_what_the_strategies_offer() -> None:
    assert sorted(strategies.__all__) == [
        "Adaptive",
        "CrashLoopError",
        "Fallback",
        "Fixed",
        "Forking",
        "Limit",
        "PerClient",
        "Prefork",
        "Sizing",
        "Synchronous",
        "ThreadPool",
        "Threaded",
        "Worker",
        "WorkerStartError",
        "parse",
    ]


@pytest.mark.parametrize("module", [serverstrategy, strategies], ids=lambda each: each.__name__)
def test_all_is_right(module: object) -> None:
    public = module.__all__  # type: ignore[attr-defined]
    assert len(set(public)) == len(public)
    for name in public:
        assert getattr(module, name).__doc__ or name == "BaseRequestHandler", name


def below(cls: type) -> Iterator[type]:
    for each in cls.__subclasses__():
        yield each
        yield from below(each)


def test_every_strategy_is_exported_by_its_name() -> None:
    defined = {
        cls.__name__
        for cls in below(serverstrategy.Strategy)
        if cls.__module__.startswith(f"{PACKAGE}.strategies.")
        and not cls.__module__.rpartition(".")[2].startswith("_")
    }
    others = {"parse", "Adaptive", "Fixed", "Sizing"}
    others |= {"CrashLoopError", "Worker", "WorkerStartError"}
    assert defined == set(strategies.__all__) - others


def test_the_package_is_marked_as_typed() -> None:
    core = folder("core")
    assert core is not None
    assert (core / "py.typed").exists()
