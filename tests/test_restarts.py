"""How soon a worker that has died is replaced, by a clock that the tests move."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from clock import Clock
from serverstrategy.strategies import _restarts
from serverstrategy.strategies._restarts import CrashLoopError, Restarts

YOUNG, OLD = 0.5, 1.5


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    moved = Clock()
    monkeypatch.setattr(_restarts, "time", moved)
    return moved


def die(restarts: Restarts, clock: Clock, times: int = 1) -> list[float]:
    """Have workers die young, each as soon as it was started; return the pauses."""
    pauses = []
    for _ in range(times):
        restarts.note_death(YOUNG, "exited with 7")
        pauses.append(restarts.remaining())
        clock.now += restarts.remaining()
    return pauses


def test_the_first_one_may_be_started_at_once(clock: Clock) -> None:
    assert Restarts(3, 60.0).remaining() == 0.0


def test_one_that_dies_old_is_replaced_at_once(clock: Clock) -> None:
    restarts = Restarts(0, 60.0)
    for _ in range(100):
        restarts.note_death(OLD, "exited with 7")
        assert restarts.remaining() == 0.0


def test_the_pauses_grow_to_a_bound(clock: Clock) -> None:
    lengths = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    pauses = die(Restarts(None, 60.0), clock, len(lengths))
    assert all(
        0.75 <= pause / length <= 1.25 for pause, length in zip(pauses, lengths, strict=True)
    )


def test_the_pauses_of_two_servers_are_not_the_same(clock: Clock) -> None:
    firsts = {die(Restarts(None, 60.0), clock)[0] for _ in range(50)}
    assert len(firsts) > 10
    assert max(firsts) - min(firsts) > 0.02  # of the 0.05 that the lot gives


def test_a_pause_ends(clock: Clock) -> None:
    restarts = Restarts(None, 60.0)
    restarts.note_death(YOUNG, "exited with 7")
    before = restarts.remaining()
    clock.now += before / 2
    assert restarts.remaining() == pytest.approx(before / 2)
    clock.now += before
    assert restarts.remaining() == 0.0


def test_one_too_many(clock: Clock) -> None:
    restarts = Restarts(3, 60.0)
    die(restarts, clock, 2)
    restarts.note_death(YOUNG, "was ended by signal 9")
    clock.now += 2.0
    with pytest.raises(CrashLoopError) as caught:
        restarts.note_death(YOUNG, "exited with 7")
    assert re.fullmatch(
        r"4 workers died before having served for a second, in 2\.\d seconds: "
        r"exited with 7 \(3 times\), was ended by signal 9 \(1 times\)",
        str(caught.value),
    )


def test_none_is_too_many_at_a_limit_of_zero(clock: Clock) -> None:
    with pytest.raises(CrashLoopError, match=r"^a worker died"):
        Restarts(0, 60.0).note_death(YOUNG, "exited with 7")


def test_without_a_limit_it_is_never_given_up(clock: Clock) -> None:
    die(Restarts(None, 60.0), clock, 1000)


def test_deaths_that_are_far_apart_do_not_add_up(clock: Clock) -> None:
    restarts = Restarts(1, 60.0)
    for _ in range(10):
        restarts.note_death(YOUNG, "exited with 7")
        clock.now += 60.1


def test_a_window_without_one_begins_anew(clock: Clock) -> None:
    restarts = Restarts(3, 60.0)
    assert die(restarts, clock, 3)[-1] >= 0.75 * 0.4
    clock.now += 60.1
    pauses = die(restarts, clock, 3)
    assert pauses[0] <= 1.25 * 0.1
    with pytest.raises(CrashLoopError):
        restarts.note_death(YOUNG, "exited with 7")


def test_one_that_dies_old_has_the_pauses_begin_anew(clock: Clock) -> None:
    restarts = Restarts(None, 60.0)
    die(restarts, clock, 5)
    restarts.note_death(OLD, "exited with 7")
    assert restarts.remaining() == 0.0
    assert die(restarts, clock)[0] <= 1.25 * 0.1


def test_one_that_dies_old_does_not_hide_those_that_die_young(clock: Clock) -> None:
    restarts = Restarts(3, 60.0)
    for _ in range(3):
        restarts.note_death(YOUNG, "exited with 7")
        restarts.note_death(OLD, "exited with 0")
    with pytest.raises(CrashLoopError):
        restarts.note_death(YOUNG, "exited with 7")
