"""The command `strategies`, and what the other commands know of the strategies of others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distributions import GROUP, POOLS, install
from serverstrategy.strategies._columns import columns
from serverstrategy.strategies.command import main

NAMES = ["Synchronous", "Threaded", "ThreadPool", "Forking", "Prefork"]
NAMES += ["Limit", "PerClient", "Fallback"]
QUICK = ("--workload", "echo", "--duration", "0.05", "--rounds", "1", "--concurrency", "2")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder in which good, hidden and broken strategies are installed."""
    site = tmp_path / "site"
    points = {"Pool": "pools:Pool", "Made": "pools:make"}
    install(site, "some-pools", points, {"pools": POOLS}, "2.1")
    points = {"Threaded": "thief:Pool", "my-pool": "thief:make", "Both": "thief:Pool.Nested"}
    install(site, "thief", points, {"thief": "print('imported')\n" + POOLS}, "0.3")
    points = {"Both": "bad:Both", "Bad": "bad:Missing", "Lost": "absent:X"}
    install(site, "bad-pools", points, {"bad": POOLS + "\nBoth = Pool\n"})
    install(site, "unreadable", f"[{GROUP}]\nno equals sign\n", {})
    return site


def run(
    *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
    )


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return run("-m", "serverstrategy", *arguments, **options)


@pytest.fixture
def script(tmp_path: Path) -> str:
    """What pip installs as `serverstrategy`: a file in a folder of programs."""
    file = tmp_path / "bin" / "serverstrategy"
    file.parent.mkdir()
    file.write_text("import sys\nfrom serverstrategy.__main__ import main\nsys.exit(main())\n")
    return str(file)


# The list


def test_the_strategies_in_the_box_are_listed(tmp_path: Path) -> None:
    done = command("strategies", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    header, *lines = done.stdout.splitlines()
    assert re.split("  +", header) == ["strategy", "parameters", "what it is for", "package"]
    assert [line.split()[0] for line in lines] == NAMES
    assert re.match(
        r"ThreadPool   threads=None, waiting=0 +Handles connections in a fixed number of threads, "
        r"which start as they are needed and stay\.  serverstrategy \d",
        lines[2],
    )


def test_strategies_of_others_are_listed_and_what_is_wrong_with_some(site: Path) -> None:
    done = command("strategies", PYTHONPATH=str(site))
    assert done.returncode == 1
    assert done.stderr == "imported\n"
    table, hidden, broken = done.stdout.split("\n\n")
    lines = table.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [*NAMES, "Made", "Pool"]
    assert re.match(r"Made +limit=5 +Makes one\. +some-pools 2\.1$", lines[-2])
    assert re.match(
        r"Pool +size=3, \*, name='pool', inner=None +Handles connections in a pool\. +some-pools 2",
        lines[-1],
    )
    assert (
        hidden
        == """\
hidden:
  Both (bad:Both) of bad-pools 1.0: ambiguous, as thief 0.3 has this name too: write bad:Both
  Both (thief:Pool.Nested) of thief 0.3: ambiguous, as bad-pools 1.0 has this name too: write \
thief:Pool.Nested
  Threaded (thief:Pool) of thief 0.3: serverstrategy has a strategy of this name: write thief:Pool
  my-pool (thief:make) of thief 0.3: the name is none that Python could read: write thief:make"""
    )
    title, unreadable, rest = broken.split("\n", 2)
    assert title == "broken:"
    assert unreadable.startswith("  all of unreadable 1.0: its entry points cannot be read: ")
    assert (
        rest
        == """\
  Bad (bad:Missing) of bad-pools 1.0: AttributeError: module 'bad' has no attribute 'Missing'
  Lost (absent:X) of bad-pools 1.0: ModuleNotFoundError: No module named 'absent'
"""
    )


def test_what_is_only_hidden_is_no_failure(tmp_path: Path) -> None:
    install(tmp_path, "thief", {"Threaded": "pools:Pool"}, {"pools": POOLS})
    done = command("strategies", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    assert "\n\nhidden:\n  Threaded (pools:Pool)" in done.stdout
    assert "broken" not in done.stdout


def test_the_list_is_there_for_programs_too(site: Path) -> None:
    done = command("strategies", "--json", PYTHONPATH=str(site))
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["format"] == 1
    by_place = {each["place"]: each for each in document["strategies"]}
    assert by_place["pools:Pool"] == {
        "name": "Pool",
        "place": "pools:Pool",
        "package": "some-pools",
        "version": "2.1",
        "state": "ok",
        "reason": None,
        "parameters": [
            {"name": "size", "kind": "positional or keyword", "default": "3"},
            {"name": "name", "kind": "keyword-only", "default": "'pool'"},
            {"name": "inner", "kind": "keyword-only", "default": "None"},
        ],
        "summary": "Handles connections in a pool.",
    }
    assert by_place["absent:X"] == {
        "name": "Lost",
        "place": "absent:X",
        "package": "bad-pools",
        "version": "1.0",
        "state": "broken",
        "reason": "ModuleNotFoundError: No module named 'absent'",
        "parameters": None,
        "summary": "",
    }
    assert by_place["thief:Pool"]["state"] == "hidden"
    assert by_place["thief:Pool"]["reason"].endswith(": write thief:Pool")
    assert [each["name"] for each in document["strategies"]][: len(NAMES)] == NAMES


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_list_is_wrapped_to_the_width(site: Path, width: int) -> None:
    done = command("strategies", PYTHONPATH=str(site), COLUMNS=str(width))
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    start = lines[0].index("what it is for")
    assert {line[start - 1 : start] for line in lines[: lines.index("")]} <= {"", " "}


def test_words_that_tell_nothing_are_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = """
        from serverstrategy import Strategy

        class Odd:
            def __repr__(self):
                return 1 / 0

        class Silent(Strategy):
            def __init__(self, first, *rest, long="x" * 100, odd=Odd()):
                pass

        class Unknown(Strategy):
            __signature__ = "wrong"
            __doc__ = 7
    """
    points = {"Silent": "odd_ones:Silent", "Unknown": "odd_ones:Unknown"}
    install(tmp_path, "odd-ones", points, {"odd_ones": module})
    monkeypatch.syspath_prepend(tmp_path)
    assert main([]) == 0
    *_, silent, unknown = capsys.readouterr().out.splitlines()
    assert re.match(r"Silent +first, \*rest, long='xxx.*\.\.\.x+', odd=<Odd ", silent)
    assert re.match(r"Unknown +\(not known\) +odd-ones 1.0$", unknown)


def test_the_list_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(rich=None, psutil=None)\n"
        "from serverstrategy.__main__ import main; sys.exit(main(['strategies']))"
    )
    assert run("-c", code, cwd=tmp_path).returncode == 0


def test_help_has_examples_and_the_exit_status() -> None:
    done = command("strategies", "--help")
    assert done.returncode == 0
    assert "examples:\n" in done.stdout
    assert "exit status: 0; 1 if a strategy is broken" in done.stdout
    assert command("strategies", "--jason").returncode == 2


def test_the_help_of_the_command_names_every_command() -> None:
    done = command("--help")
    assert done.returncode == 0
    assert re.search(r"^  compare     compare the", done.stdout, re.MULTILINE)
    assert re.search(r"^  strategies  list the", done.stdout, re.MULTILINE)
    assert command("help").stdout == done.stdout
    assert (command().returncode, command().stderr) == (2, done.stdout)
    assert "there is no command 'strategie'" in command("strategie").stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_list_that_cannot_be_written_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "serverstrategy", "strategies"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=50,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "serverstrategy strategies: cannot write: No space left on device\n"


def test_a_reader_that_has_seen_enough_is_no_trouble() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "serverstrategy", "strategies"],
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=50,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")


# The table


def test_columns_are_as_wide_as_they_need() -> None:
    assert columns([("a", "bb", ""), ("aaa", "", "c")], 80) == "a    bb\naaa      c\n"


def test_the_widest_column_is_wrapped_first() -> None:
    row = ("short name", "one two three four five six seven", "x" * 12)
    assert columns([row], 50) == (
        "short name  one two three four five   " + "x" * 12 + "\n" + " " * 12 + "six seven\n"
    )


def test_a_table_that_is_too_narrow_is_no_endless_loop() -> None:
    assert columns([("word " * 9, "word " * 9)], 1).splitlines()[0] == "word word     word word"


# The comparison


@pytest.mark.parametrize("how", ["module", "script"])
def test_compare_knows_them_by_name_and_by_place(
    tmp_path: Path, script: str, site: Path, how: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine.py").write_text("print('noise')\n" + POOLS)
    chosen = ["Pool(4)", "Made( limit=6 )", "mine:Pool(5)", "Prefork(2, mine:Pool( 6 ))"]
    options = [word for expression in chosen for word in ("--strategy", expression)]
    start = ["-m", "serverstrategy"] if how == "module" else [script]
    file = tmp_path / "result.json"
    done = run(
        *(*start, "compare", *options, *QUICK, "--json", str(file)),
        cwd=tmp_path / "here",
        PYTHONPATH=str(site),
    )
    assert (done.returncode, done.stderr) == (0, "noise\n")
    (workload,) = json.loads(file.read_text())["workloads"]
    assert {each["strategy"]: each["failure"] for each in workload["strategies"]} == {
        "Pool(4)": None,
        "Threaded(6)": None,
        "mine:Pool(5)": None,
        "Prefork(2, mine:Pool( 6 ))": None,
    }


def test_compare_refuses_what_cannot_be_loaded_before_anything_starts(site: Path) -> None:
    for text, said in {
        "Bad(3)": "the strategy 'Bad' of bad-pools 1.0 (bad:Missing) cannot be loaded: Attribute",
        "Both": "the strategy 'Both' is ambiguous: write bad:Both (of bad-pools 1.0) or thief:",
        "absent:X": "'absent:X' cannot be loaded: ModuleNotFoundError: No module named 'absent'",
        "Prefork(2, pools:Pol)": "'pools:Pol' cannot be loaded: AttributeError: module 'pools' has",
        "pools:make_trouble": "pools:make_trouble: KeyError: 'key'",
    }.items():
        done = command("compare", "--strategy", text, PYTHONPATH=str(site))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[-1].startswith(f"serverstrategy compare: {said}")


def test_compare_takes_one_that_is_named_like_one_in_the_box_for_itself(site: Path) -> None:
    """Its `repr` would build another one in the server's process."""
    code = POOLS.replace("import Threaded", "import ThreadPool as Threaded")
    (site / "mine.py").write_text(code + "\nclass Threaded(Pool): pass\n")
    done = command(
        *("compare", "--strategy", "Prefork(2, mine:Threaded(7))", *QUICK), PYTHONPATH=str(site)
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^Prefork\(2, mine:Threaded\(7\)\) +[\d,]+ ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("flag", [[], ["-P"]])
def test_the_script_finds_modules_here_unless_python_is_told_not_to(
    tmp_path: Path, script: str, flag: list[str]
) -> None:
    (tmp_path / "mine.py").write_text(POOLS)
    done = run(
        *(*flag, script, "compare", "--strategy", "mine:Pool", "--strategy", "Nonsense"),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert ("'Nonsense'" if not flag else "'mine:Pool' cannot be loaded") in done.stderr
