"""The command from its options to its tables and its record, run as a user runs it."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")

QUICK = ("--duration", "0.05", "--rounds", "1")
ONE = ("--strategy", "Synchronous()", "--workload", "echo", *QUICK)


def compare(*options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "serverstrategy", "compare", *options],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, **environment},
    )


def complaint(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line that a command which refuses its options says."""
    assert done.returncode == 2
    assert done.stdout == ""
    return done.stderr.splitlines()[-1]


def test_the_strategies_are_compared_under_the_workloads(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text("old")
    file.chmod(0o640)
    chosen = ["Synchronous()", "Threaded()", "Forking()", "Prefork(2, ThreadPool(3))"]
    options = [word for expression in chosen for word in ("--strategy", expression)]
    done = compare(*options, *QUICK, "--concurrency", "4", "--json", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^(echo|wait|crunch): ", done.stdout, re.MULTILINE) == [
        "echo",
        "wait",
        "crunch",
    ]

    record = json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert record["environment"]["python"] in sys.version
    assert record["options"]["concurrency"] == 4
    expressions = record["options"]["strategies"]
    assert len(expressions) == 4
    for workload in record["workloads"]:
        assert [one["strategy"] for one in workload["strategies"]] == expressions
        for one in workload["strategies"]:
            assert one["failure"] is None
            (figures,) = one["rounds"]
            assert figures["errors"] == {}
            assert figures["completed"] > 0
            assert figures["cpu_seconds_per_connection"] > 0
            assert figures["peak_memory_bytes"] > 1 << 20
            assert one["strategy"] in done.stdout
    threads = {one["strategy"]: one["rounds"][0] for one in record["workloads"][1]["strategies"]}
    assert threads["Synchronous()"]["processes"] == 1
    assert threads[expressions[3]]["processes"] == 3
    assert threads[expressions[3]]["threads"] >= 6
    assert re.search(r"Took \d+\.\d s", done.stdout)


def test_a_bad_strategy_is_refused_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    done = compare("--strategy", "Thraeded()", "--json", str(file))
    line = complaint(done)
    assert "Thraeded" in line
    assert "ThreadPool" in line
    assert not file.exists()


def test_a_strategy_given_twice_is_refused_however_it_is_written() -> None:
    done = compare("--strategy", "ThreadPool(8)", "--strategy", " ThreadPool( threads=8 )")
    assert "given twice" in complaint(done)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--workload", "echo", "--workload", "echo"], "twice"),
        (["--workload", "sleep"], "sleep"),
        (["--duration", "nan"], "nan"),
        (["--duration", "0"], "'0'"),
        (["--concurrency", "1.5"], "1.5"),
        (["--rounds", "0"], "'0'"),
        (["--json"], "--json"),
    ],
)
def test_a_wrong_option_is_refused(options: list[str], word: str) -> None:
    assert word in complaint(compare(*options))


def test_help_has_examples() -> None:
    done = compare("--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert "--strategy 'Prefork(4, ThreadPool(8))'" in done.stdout


@pytest.mark.parametrize("name", ["rich", "psutil"])
def test_without_the_extra_it_says_what_to_install(name: str) -> None:
    code = (
        f"import sys; sys.modules[{name!r}] = None\n"
        "from serverstrategy.__main__ import main; sys.exit(main(['compare']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert complaint(done) == (
        f"serverstrategy compare: needs {name}: pip install 'serverstrategy[compare]'"
    )


@pytest.mark.parametrize("name", ["missing/result.json", "folder"])
def test_a_record_that_cannot_be_written_is_refused_first(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    done = compare("--json", str(tmp_path / name))
    assert f"cannot write {tmp_path / name}: " in complaint(done)


@needs_full
def test_a_full_disk_fails_with_a_reason() -> None:
    done = compare(*ONE, "--json", "/dev/full")
    assert done.returncode == 1
    assert "cannot write /dev/full: No space left" in done.stderr
    assert "Synchronous()" in done.stdout  # what was measured is shown all the same


@needs_full
@pytest.mark.parametrize("record", [[], ["--json", "-"]])
def test_standard_output_on_a_full_disk_fails_with_a_reason(record: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "serverstrategy", "compare", *ONE, *record],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=50,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "serverstrategy compare: cannot write to standard output: No space left on device"
    )


def test_the_record_on_standard_output_is_alone_there() -> None:
    done = compare(*ONE, "--json", "-")
    assert done.returncode == 0
    assert json.loads(done.stdout)["workloads"][0]["workload"] == "echo"
    assert "conn/s" in done.stderr


def test_where_fork_is_missing_the_forking_strategies_are_rows_with_the_reason(
    tmp_path: Path,
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\ndel os.fork\n")
    done = compare(*ONE, "--strategy", "Forking()", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(r"^Synchronous\(\) +[\d,]+ ", done.stdout, re.MULTILINE)
    assert re.search(r"^Forking\(\) +failed ", done.stdout, re.MULTILINE)
    assert re.search(r"^Forking\(\) failed: cannot run here: .*fork", done.stdout, re.MULTILINE)


def test_a_server_that_does_not_start_is_a_row_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'serverstrategy.compare.subject' in sys.orig_argv:\n"
        "    if sys.orig_argv[-3].startswith('ThreadPool'):\n"
        "        os.write(2, b'out of luck\\n')\n"
        "        os._exit(1)\n"
    )
    done = compare(*ONE, "--strategy", "ThreadPool(2)", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(r"^Synchronous\(\) +[\d,]+ ", done.stdout, re.MULTILINE)
    assert re.search(
        r"^ThreadPool\(.*\) failed: did not start: .*: out of luck$", done.stdout, re.MULTILINE
    )


def test_an_output_that_knows_only_ascii_is_no_crash() -> None:
    done = compare(*ONE, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "conn/s" in done.stdout


def test_the_package_does_not_import_the_comparison() -> None:
    code = (
        "import sys, serverstrategy, serverstrategy.strategies, serverstrategy.__main__\n"
        "print([name for name in sys.modules if name.startswith('serverstrategy.compare')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "[]\n"
