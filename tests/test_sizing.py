"""How many workers there are to be: the policy objects alone, with a clock of the test's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock import Clock
from serverstrategy.strategies import Adaptive, Fixed, Prefork, Sizing, sizing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sizing, "time", clock)
    return clock


def grown(policy: Sizing, workers: int, busy: int) -> int:
    """What it wants at a constant load, once it has wanted the same for long."""
    for _ in range(100):
        workers = policy.wanted(workers, max(0, workers - busy))
    return workers


# Fixed


def test_fixed_is_always_the_same() -> None:
    fixed = Fixed(4)
    assert (fixed.workers, fixed.most, fixed.interval) == (4, 4, None)
    assert {fixed.wanted(workers, spare) for workers in range(9) for spare in range(9)} == {4}


def test_a_number_means_fixed() -> None:
    prefork = Prefork(4)
    assert prefork.workers == 4
    assert type(prefork.sizing) is Fixed
    prefork.workers = 7
    assert prefork.workers == prefork.sizing.wanted(4, 0) == prefork.sizing.most == 7


# Adaptive


def test_the_defaults_of_adaptive() -> None:
    policy = Adaptive(1, 10)
    assert (policy.min_workers, policy.max_workers, policy.most) == (1, 10, 10)
    assert (policy.min_spare, policy.max_spare, policy.settle) == (1, 4, 10.0)
    assert policy.interval == 0.25
    assert repr(policy) == "Adaptive(1, 10)"
    assert repr(Adaptive(2, 20, max_spare=5)) == "Adaptive(2, 20, max_spare=5)"


def test_it_grows_by_doubling_while_none_is_spare(clock: Clock) -> None:
    policy = Adaptive(1, 1000)
    steps = [policy.wanted(100, 0) - 100 for _ in range(8)]
    assert steps == [1, 2, 4, 8, 16, 32, 32, 32]


def test_it_begins_again_with_one_once_there_are_enough(clock: Clock) -> None:
    policy = Adaptive(1, 1000, min_spare=3)
    assert [policy.wanted(100, 2) for _ in range(3)] == [101, 102, 104]
    assert policy.wanted(104, 3) == 104
    assert [policy.wanted(104, 0) for _ in range(2)] == [105, 106]


def test_between_the_bounds_it_wants_what_there_is(clock: Clock) -> None:
    policy = Adaptive(1, 10, 2, 4, settle=0.0)
    for workers in range(4, 11):
        for spare in (2, 3, 4):
            clock.now += 100.0
            assert policy.wanted(workers, spare) == workers


def test_it_ends_one_at_a_time_once_a_second_after_it_has_settled(clock: Clock) -> None:
    policy = Adaptive(1, 10, settle=5.0)
    workers, ended_at = 10, []
    began = clock.now
    while clock.now < began + 15.0:
        wanted = policy.wanted(workers, workers)
        if wanted != workers:
            assert wanted == workers - 1
            ended_at.append(clock.now - began)
        workers = wanted
        clock.now += 0.25
    assert workers == 4  # max_spare
    assert ended_at == [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]


@pytest.mark.parametrize("spare", [0, 1, 4])
def test_a_moment_without_too_many_makes_it_settle_anew(clock: Clock, spare: int) -> None:
    policy = Adaptive(1, 10, settle=5.0)
    assert policy.wanted(10, 5) == 10
    clock.now += 4.9
    assert policy.wanted(10, spare) == 10
    clock.now += 4.9
    assert policy.wanted(10, 5) == 10
    clock.now += 4.9
    assert policy.wanted(10, 5) == 10
    clock.now += 0.2
    assert policy.wanted(10, 5) == 9


def test_a_load_that_comes_and_goes_has_none_come_and_go(clock: Clock) -> None:
    policy = Adaptive(1, 50, settle=10.0)
    workers = 24
    for second in range(300):
        clock.now += 1.0
        busy = 20 if second % 9 == 0 else 0
        assert policy.wanted(workers, workers - busy) == workers


@given(
    bounds=st.tuples(st.integers(1, 40), st.integers(0, 40), st.integers(1, 9), st.integers(0, 9)),
    looks=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.floats(0.0, 20.0))),
)
def test_it_never_leaves_its_bounds(
    bounds: tuple[int, int, int, int], looks: list[tuple[int, int, float]]
) -> None:
    least, more, min_spare, more_spare = bounds
    policy = Adaptive(least, least + more, min_spare, min_spare + more_spare, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(sizing, "time", clock)
        for workers, spare, pause in looks:
            clock.now += pause
            assert least <= policy.wanted(workers, spare) <= least + more


@given(busy=st.integers(0, 60), workers=st.integers(1, 50), spares=st.integers(1, 5))
def test_at_a_constant_load_it_comes_to_rest(busy: int, workers: int, spares: int) -> None:
    policy = Adaptive(2, 50, spares, spares, settle=0.0)
    # Growth in big steps may overshoot, once.
    workers = grown(policy, workers, busy)
    assert workers == max(2, min(50, busy + spares))
    assert {policy.wanted(workers, max(0, workers - busy)) for _ in range(20)} == {workers}


# What is refused


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Fixed(0), "workers must be at least 1, not 0"),
        (lambda: Adaptive(0, 10), "min_workers must be at least 1, not 0"),
        (lambda: Adaptive(5, 4), "max_workers must be at least 5, not 4"),
        (lambda: Adaptive(1, 10, min_spare=0), "min_spare must be at least 1, not 0"),
        (lambda: Adaptive(1, 10, min_spare=5), "max_spare must be at least 5, not 4"),
        (lambda: Adaptive(1, 10, settle=-0.1), "settle must be at least 0 seconds, not -0.1"),
        (
            lambda: Adaptive(1, 10, settle=float("nan")),
            "settle must be at least 0 seconds, not nan",
        ),
    ],
)
def test_a_bad_value(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        build()


@pytest.mark.parametrize("name", ["min_workers", "max_workers", "min_spare", "max_spare"])
@pytest.mark.parametrize("value", [None, True, 2.0, "2"])
def test_a_count_that_is_no_int(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be an int, not {value!r}$"):
        Adaptive(**{"min_workers": 1, "max_workers": 10, name: value})


@pytest.mark.parametrize("value", [None, True, "2"])
def test_a_time_that_is_no_number(value: Any) -> None:
    with pytest.raises(TypeError, match=f"^settle must be a number of seconds, not {value!r}$"):
        Adaptive(1, 10, settle=value)


# A sizing of one's own


class Weekdays:
    """Needs nothing of ours."""

    most = 9
    interval: float | None = 60.0

    def wanted(self, workers: int, spare: int) -> int:
        return 7


def test_a_sizing_of_ones_own() -> None:
    mine = Weekdays()
    prefork = Prefork(mine)
    assert prefork.workers is prefork.sizing is mine
    prefork.workers = 3
    prefork.workers = mine
    assert prefork.sizing is mine


@pytest.mark.parametrize("missing", ["wanted", "most", "interval"])
def test_what_lacks_a_part_is_none(missing: str) -> None:
    parts = {name: getattr(Weekdays, name) for name in ("wanted", "most", "interval")}
    del parts[missing]
    partial = type("Partial", (), parts)()
    prefork = Prefork(4)
    for take in (Prefork, lambda value: setattr(prefork, "workers", value)):
        with pytest.raises(TypeError, match=r"workers must be an int or a Sizing, .*Partial"):
            take(partial)
    assert prefork.workers == prefork.sizing.wanted(0, 0) == 4


@pytest.mark.parametrize("value", [Adaptive, Weekdays, "Adaptive()", 2.0, True, [2]])
def test_what_is_none_is_refused(value: Any) -> None:
    prefork = Prefork(4)
    for take in (Prefork, lambda value: setattr(prefork, "workers", value)):
        with pytest.raises(TypeError, match="workers must be an int or a Sizing, such as Adaptive"):
            take(value)
    assert prefork.workers == 4


class Answers:
    """A sizing that says what it is told to."""

    most = 2
    interval: Any = None

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def wanted(self, workers: int, spare: int) -> Any:
        return self.answer


@pytest.mark.parametrize("answer", [0, -1, None, "3", 2.5, float("nan"), True])
def test_an_answer_that_is_no_number_of_workers_is_refused(answer: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^what wanted\(\) of .* returns must be"):
        sizing.ask(Answers(answer), 1, 1)


def test_an_answer_beyond_the_bound_is_the_bound() -> None:
    assert [sizing.ask(Answers(answer), 1, 1) for answer in (1, 2, 3, 10**6)] == [1, 2, 2, 2]


@pytest.mark.parametrize("interval", [0, -1.0, "x"])
def test_an_interval_that_is_no_time_is_refused(interval: Any) -> None:
    own = Answers(1)
    own.interval = interval
    with pytest.raises((TypeError, ValueError), match=r"^interval must be"):
        Prefork(own)
