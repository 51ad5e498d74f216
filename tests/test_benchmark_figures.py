"""The figures of the benchmarks: latencies, ratios, verdicts, counts."""

from __future__ import annotations

import json

import psutil
import pytest
from benchmarks.aim import Aim
from benchmarks.client import Client
from benchmarks.clients.latencies import percentile
from benchmarks.contestant import Contestant
from benchmarks.figure import CPU, P99, RATE, Figure
from benchmarks.kinds import missing
from benchmarks.load import AGAIN
from benchmarks.loads import all as loads
from benchmarks.loads.idle import Idle
from benchmarks.loads.system_calls import total_calls
from benchmarks.results import Result, Spread
from benchmarks.rounds import measure

from benchmarking import ROOT

LINE = {"message": "x\n", "expected": "x\n"}


def result(figure: Figure, **values: list[float]) -> Result:
    """One of bursts, with these values of a figure, round by round."""
    found = Result(loads.LOADS[0])
    for name, each in values.items():
        found.samples[name.replace("_once_more", AGAIN)] = [{figure: value} for value in each]
    return found


def test_a_connection_that_is_begun_late_counts_from_when_it_was_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    # One at a time, 10 ms each, twice as many as that allows: the last one waits for half a second.
    with Client() as client, Contestant("bare", "sleep") as server:
        outcome = client.run("open_loop", port=server.port, rate=200.0, seconds=0.5, **LINE)
    assert outcome["answers"] == 100
    assert outcome["p50"] > 0.2
    assert outcome["p99"] > 0.4


def test_a_client_that_is_given_up_does_not_answer_the_next_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    with Client() as client, Contestant("bare") as server:
        client.begin("closed", port=server.port, connections=1, seconds=60.0, **LINE)
        outcome = client.run("single", port=server.port, connections=3, **LINE)
    assert outcome["answers"] == 3


def test_a_wrong_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with Client() as client, Contestant("bare") as server:
        order = {"port": server.port, "message": "x\n", "expected": "y\n"}
        with pytest.raises(RuntimeError, match="a client got"):
            client.run("closed", connections=2, seconds=0.1, **order)


def test_a_server_that_dies_is_left_out_from_there_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    bursts = loads.LOADS[0]
    killed = []

    def step(what: str) -> None:
        if what.startswith("burst, round 2") and not killed:
            killed.append(what)
            for child in psutil.Process().children():
                if "asyncio" in child.cmdline():
                    child.kill()

    with Client() as client:
        done = measure(bursts, ["bare", "asyncio"], 2, client, step)
    assert list(done.failures) == ["asyncio"]
    assert [len(each) for each in done.samples.values()] == [2, 2]


def test_percentiles() -> None:
    values = [float(each) for each in range(1, 101)]
    assert percentile(values, 50) == 50.0
    assert percentile(values, 99) == 99.0
    assert percentile([7.0], 99) == 7.0


def test_a_ratio_is_that_of_each_round() -> None:
    found = result(RATE, bare=[100.0, 10.0, 40.0], ours=[50.0, 10.0, 10.0])
    assert found.ratio(RATE, "ours", "bare") == Spread(0.375, 0.5, 0.75)
    assert found.ratio(RATE, "ours", "theirs") is None
    assert found.ratio(CPU, "ours", "bare") is None


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        (95.0, "as hoped"),
        (85.0, "reached"),
        (75.0, "within the control's spread"),
        (70.0, "**missed**"),
    ],
)
def test_what_is_said_of_a_rate(ours: float, verdict: str) -> None:
    found = result(RATE, bare=[100.0] * 3, bare_once_more=[90.0, 90.0, 100.0], ours=[ours] * 3)
    aim = Aim("ours", "burst", RATE, 0.8, 0.9, "bare")
    assert aim.verdict({"burst": found}) == verdict


@pytest.mark.parametrize(("ours", "verdict"), [(0.9, "reached"), (1.1, "**missed**")])
def test_what_is_said_of_a_latency(ours: float, verdict: str) -> None:
    found = result(P99, bare=[1.0] * 3, bare_once_more=[1.0] * 3, ours=[ours] * 3)
    assert Aim("ours", "burst", P99, 1.0, to="bare").verdict({"burst": found}) == verdict


def test_what_is_said_of_a_figure_itself() -> None:
    found = result(P99, bare=[0.040] * 3)
    assert Aim("bare", "burst", P99, 50.0, 10.0).verdict({"burst": found}) == "reached"
    assert Aim("other", "burst", P99, 50.0).verdict({"burst": found}) == "not measured"
    assert Aim("bare", "closed-64", P99, 50.0).verdict({"burst": found}) == "not measured"


def test_each_aim_is_measured() -> None:
    from benchmarks.aims import AIMS

    by_name = {load.name: load for load in loads.LOADS}
    for aim in AIMS:
        load = by_name[aim.load]
        assert aim.strategy in load.subjects, aim
        assert aim.figure in load.figures, aim
        assert aim.to is None or aim.to in load.subjects, aim


def test_the_calls_that_strace_has_counted() -> None:
    summary = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000006           3         2         1 accept4
------ ----------- ----------- --------- --------- ----------------
100.00    0.000010           1         7         1 total
"""
    assert total_calls(summary) == 7
    with pytest.raises(RuntimeError):
        total_calls("")


def test_what_the_limits_forbid_is_left_out() -> None:
    load = Idle("idle", "", ["bare"], idle=1 << 31)
    with_client: Client = None  # type: ignore[assignment]
    done = measure(load, ["bare"], 1, with_client, lambda _: None)
    assert "a process may open" in done.left_out["idle"]
    assert not done.samples


def test_what_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert missing("uvloop Protocol") == "uvloop"
    assert missing("Synchronous()") is None
    done = measure(loads.LOADS[0], ["gevent"], 1, None, print)  # type: ignore[arg-type]
    assert json.dumps(done.left_out) == '{"gevent": "gevent is not installed"}'
