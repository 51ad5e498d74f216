"""The constructors of the strategies: the defaults, what is refused, and that they do nothing."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from serverstrategy import BaseRequestHandler, Strategy, TCPServer
from serverstrategy.strategies import (
    Adaptive,
    Fallback,
    Forking,
    Limit,
    PerClient,
    Prefork,
    Synchronous,
    Threaded,
    ThreadPool,
    parse,
)

ALL: list[Callable[[], Strategy]] = [
    Synchronous,
    Threaded,
    lambda: Threaded(100),
    ThreadPool,
    lambda: ThreadPool(8, 2),
    Forking,
    lambda: Forking(10, 2),
    Prefork,
    lambda: Prefork(4, ThreadPool(8)),
    lambda: Prefork(2, Forking(10)),
    lambda: Prefork(2, Threaded(100)),
    lambda: Prefork(2, Prefork(2)),
    lambda: Prefork(Adaptive(2, 10), ThreadPool(2), max_requests=50, timeout=5),
    lambda: Limit(10, Threaded()),
    lambda: PerClient(2, ThreadPool(8)),
    lambda: Prefork(2, PerClient(2, Limit(4, Threaded()), "reset")),
    lambda: Fallback(Prefork(4, ThreadPool(8)), ThreadPool(32)),
]
each_strategy = pytest.mark.parametrize("build", ALL, ids=[repr(build()) for build in ALL])


def processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# Defaults


def test_the_defaults_of_threaded() -> None:
    assert Threaded().limit is None


def test_the_defaults_of_thread_pool() -> None:
    pool = ThreadPool()
    assert pool.threads == min(32, processors() + 4)
    assert pool.waiting == 0


def test_the_defaults_of_forking() -> None:
    assert Forking().limit == 40
    assert Forking().spare == 0


def test_the_defaults_of_prefork() -> None:
    prefork = Prefork()
    assert prefork.workers == processors()
    assert type(prefork.inner) is Synchronous
    bounds = (prefork.max_requests, prefork.max_requests_jitter, prefork.max_memory)
    assert bounds == (None, 0, None)
    assert (prefork.timeout, prefork.reload_step) == (None, 1)
    assert (prefork.max_restarts, prefork.restart_window) == (10, 60.0)


def test_none_means_the_default() -> None:
    assert ThreadPool(None).threads == ThreadPool().threads
    assert Prefork(None, None).workers == Prefork().workers
    assert type(Prefork(None, None).inner) is Synchronous
    assert Threaded(None).limit is None


def test_each_prefork_has_an_inner_strategy_of_its_own() -> None:
    assert Prefork().inner is not Prefork().inner


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="not on this platform")
def test_the_defaults_follow_the_processors_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(100)))
    assert Prefork().workers == 100
    assert ThreadPool().threads == 32
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert Prefork().workers == 1
    assert ThreadPool().threads == 5


@pytest.mark.parametrize("count", [1, 8, None])
def test_the_defaults_where_no_affinity_is_told(
    count: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert Prefork().workers == (count or 1)
    assert ThreadPool().threads == (count or 1) + 4


@pytest.mark.parametrize(
    ("build", "threads", "processes"),
    [
        (Strategy, False, False),
        (Synchronous, False, False),
        (Threaded, True, False),
        (ThreadPool, True, False),
        (Forking, False, True),
        (Prefork, False, True),
        (lambda: Prefork(1, Threaded()), True, True),
        (lambda: Prefork(1, ThreadPool(2)), True, True),
        (lambda: Prefork(1, Forking()), False, True),
        (lambda: Limit(1, Synchronous()), False, False),
        (lambda: Limit(1, Threaded()), True, False),
        (lambda: PerClient(1, Forking()), False, True),
        (lambda: Prefork(1, PerClient(1, Threaded())), True, True),
        (lambda: Fallback(Forking(), Threaded()), False, True),
    ],
)
def test_what_a_strategy_says_of_threads_and_processes(
    build: Callable[[], Strategy], threads: bool, processes: bool
) -> None:
    strategy = build()
    assert (strategy.multithread, strategy.multiprocess) == (threads, processes)


@pytest.mark.parametrize(
    ("strategy", "attributes"),
    [
        (Threaded(3), {"limit": 3}),
        (Threaded(limit=3), {"limit": 3}),
        (ThreadPool(3, 4), {"threads": 3, "waiting": 4}),
        (ThreadPool(waiting=4, threads=3), {"threads": 3, "waiting": 4}),
        (Forking(3), {"limit": 3}),
        (Forking(limit=3), {"limit": 3}),
        (Forking(3, 4), {"limit": 3, "spare": 4}),
        (Forking(spare=4), {"limit": 40, "spare": 4}),
        (Prefork(3), {"workers": 3}),
        (Prefork(workers=3), {"workers": 3}),
        (Limit(3, Threaded()), {"n": 3}),
        (PerClient(n=3, inner=Threaded()), {"n": 3, "on_full": "close"}),
        (PerClient(3, Threaded(), "reset"), {"n": 3, "on_full": "reset"}),
    ],
    ids=repr,
)
def test_arguments_are_kept_under_their_names(
    strategy: Strategy, attributes: dict[str, int | str]
) -> None:
    assert {name: getattr(strategy, name) for name in attributes} == attributes


def test_the_inner_strategy_is_kept() -> None:
    inner = Threaded()
    assert Prefork(1, inner).inner is inner
    assert Prefork(inner=inner).inner is inner
    assert Limit(1, inner).inner is inner
    assert PerClient(1, inner).inner is inner
    assert Fallback(inner).inner is inner


# What is refused

AN_INT, OR_NONE, OR_A_SIZING = (
    "an int",
    "an int or None",
    "an int or a Sizing, such as Adaptive(2, 10)",
)
COUNTS: dict[str, tuple[str, Callable[[Any], Strategy], int, str]] = {
    "Threaded": ("limit", Threaded, 1, OR_NONE),
    "ThreadPool": ("threads", ThreadPool, 1, OR_NONE),
    "waiting": ("waiting", lambda value: ThreadPool(1, value), 0, AN_INT),
    "Forking": ("limit", Forking, 1, AN_INT),
    "spare": ("spare", lambda value: Forking(1, value), 0, AN_INT),
    "Prefork": ("workers", Prefork, 1, OR_A_SIZING),
    "max_requests": ("max_requests", lambda value: Prefork(1, max_requests=value), 1, OR_NONE),
    "jitter": (
        "max_requests_jitter",
        lambda value: Prefork(1, max_requests_jitter=value),
        0,
        AN_INT,
    ),
    "max_memory": ("max_memory", lambda value: Prefork(1, max_memory=value), 1, OR_NONE),
    "max_restarts": ("max_restarts", lambda value: Prefork(1, max_restarts=value), 0, OR_NONE),
    "reload_step": ("reload_step", lambda value: Prefork(1, reload_step=value), 1, AN_INT),
    "Limit": ("n", lambda value: Limit(value, Threaded()), 1, AN_INT),
    "PerClient": ("n", lambda value: PerClient(value, Threaded()), 1, AN_INT),
}
each_count = pytest.mark.parametrize(
    ("name", "build", "minimum", "wanted"), COUNTS.values(), ids=COUNTS
)


@each_count
def test_the_smallest_count_is_accepted(
    name: str, build: Callable[[Any], Strategy], minimum: int, wanted: str
) -> None:
    assert getattr(build(minimum), name) == minimum


@each_count
def test_a_count_that_is_too_small_is_refused(
    name: str, build: Callable[[Any], Strategy], minimum: int, wanted: str
) -> None:
    for value in (minimum - 1, -1, -40):
        with pytest.raises(ValueError, match=f"^{name} must be at least {minimum}, not {value}$"):
            build(value)


@each_count
def test_what_is_no_int_is_refused(
    name: str, build: Callable[[Any], Strategy], minimum: int, wanted: str
) -> None:
    message = re.escape(f"{name} must be {wanted}, not ")
    for value in (True, False, 1.0, 4.5, float("inf"), "4", b"4", [4], (4,), object(), int, 4j):
        with pytest.raises(TypeError, match=f"^{message}") as raised:
            build(value)
        assert repr(value) in str(raised.value)


@each_count
def test_none_is_refused_where_it_means_nothing(
    name: str, build: Callable[[Any], Strategy], minimum: int, wanted: str
) -> None:
    if wanted != AN_INT:
        build(None)
    else:
        with pytest.raises(TypeError, match=f"^{name} must be an int, not None$"):
            build(None)


@pytest.mark.parametrize("name", ["timeout", "restart_window"])
def test_a_time_of_prefork(name: str) -> None:
    for value in (1, 0.5, float("inf")):
        assert getattr(Prefork(1, **{name: value}), name) == value
    for value in (0, -1, 0.0, float("nan")):
        with pytest.raises(ValueError, match=f"^{name} must be more than 0 seconds, not {value}"):
            Prefork(1, **{name: value})
    for value in (True, "1", [1], 1j):
        with pytest.raises(TypeError, match=f"^{name} must be a number of seconds, not "):
            Prefork(1, **{name: value})


@pytest.mark.parametrize("name", ["on_worker_start", "on_worker_exit", "on_worker_timeout"])
def test_a_hook_of_prefork(name: str) -> None:
    assert getattr(Prefork(1, **{name: print}), name) is print
    with pytest.raises(TypeError, match="a hook must be a function, not 'print'"):
        Prefork(1, **{name: "print"})


@pytest.mark.parametrize("build", [Synchronous, Threaded, ThreadPool, Forking, Prefork])
def test_unknown_arguments_are_refused(build: Callable[..., Strategy]) -> None:
    with pytest.raises(TypeError):
        build(1, Synchronous(), 3)
    with pytest.raises(TypeError):
        build(unknown=1)


NESTS: list[Callable[[Any], Strategy]] = [
    lambda inner: Prefork(2, inner),
    lambda inner: Limit(2, inner),
    lambda inner: PerClient(2, inner),
    lambda inner: Fallback(Threaded(), inner),
]


@pytest.mark.parametrize("inner", [Synchronous, Threaded, Forking, Prefork, Strategy])
def test_a_class_is_no_inner_strategy(inner: type[Strategy]) -> None:
    name = inner.__name__
    for build in NESTS:
        with pytest.raises(TypeError, match=rf"write {name}\(\), not {name}"):
            build(inner)


@pytest.mark.parametrize(
    "inner", ["Threaded()", 8, True, object(), BaseRequestHandler, [Threaded()]]
)
def test_something_else_is_no_inner_strategy(inner: Any) -> None:
    for build in NESTS:
        with pytest.raises(TypeError, match="subclass of Strategy"):
            build(inner)


class Wrapping(Strategy):
    """A strategy of the user's own that nests another."""

    def __init__(self, inner: Strategy) -> None:
        self.inner = inner


@pytest.mark.parametrize(
    "inner",
    [
        Prefork(2),
        Prefork(),
        Wrapping(Prefork(2)),
        Prefork(2, Prefork(2, Threaded())),
        Fallback(Prefork(2), Threaded()),
    ],
    ids=repr,
)
def test_prefork_inside_prefork(inner: Strategy) -> None:
    assert Prefork(2, inner, timeout=5.0, reload_step=2).inner is inner
    for bound in ({"max_requests": 50}, {"max_memory": 1 << 30}):
        (name,) = bound
        with pytest.raises(ValueError, match=rf"^{name} .*: give it to the Prefork inside"):
            Prefork(2, inner, **bound)


@pytest.mark.parametrize("inner", [Strategy(), Wrapping(Threaded()), Wrapping(Forking())])
def test_a_strategy_of_the_users_own_can_be_the_inner_one(inner: Strategy) -> None:
    assert Prefork(2, inner).inner is inner


# Without fork


@pytest.mark.parametrize(
    "build",
    [Forking, lambda: Forking(3), Prefork, lambda: Prefork(2), lambda: Limit(2, Forking())],
)
def test_without_fork_it_can_be_built_and_says_that_it_cannot_run(
    build: Callable[[], Strategy], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build().unsupported is None
    monkeypatch.delattr(os, "fork")
    assert re.search(
        r"^(Forking|Prefork) needs os\.fork, which this platform does not have: use ThreadPool",
        str(build().unsupported),
    )


@pytest.mark.parametrize(
    "build",
    [Synchronous, Threaded, ThreadPool, lambda: Limit(2, Threaded()), lambda: Fallback(Threaded())],
)
def test_the_others_do_without_fork(
    build: Callable[[], Strategy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")
    assert build().unsupported is None


# Constructors start nothing


class Resources:
    """The threads, descriptors and children that this process has."""

    def __init__(self) -> None:
        process = psutil.Process()
        self.threads = {thread.id for thread in process.threads()}
        self.descriptors = process.num_fds()
        self.children = {child.pid for child in process.children(recursive=True)}

    def more(self) -> tuple[int, int, int]:
        """How many there are now that were not there then. A thread that ends is no matter."""
        now = Resources()
        return (
            len(now.threads - self.threads),
            now.descriptors - self.descriptors,
            len(now.children - self.children),
        )


NOTHING = (0, 0, 0)


@each_strategy
def test_a_constructor_starts_nothing(build: Callable[[], Strategy]) -> None:
    before = Resources()
    kept = [build() for _ in range(10)]
    assert before.more() == NOTHING
    assert len(kept) == 10


@each_strategy
def test_reading_and_writing_starts_nothing(build: Callable[[], Strategy]) -> None:
    before = Resources()
    kept = [parse(repr(build())) for _ in range(3)]
    assert before.more() == NOTHING
    assert len(kept) == 3


@each_strategy
def test_a_server_that_does_not_serve_has_its_listener_and_nothing_else(
    build: Callable[[], Strategy],
) -> None:
    before = Resources()
    with TCPServer(("127.0.0.1", 0), BaseRequestHandler, strategy=build()):
        assert before.more() == (0, 1, 0)
    assert before.more() == NOTHING


@each_strategy
def test_a_strategy_that_did_nothing_is_drained_at_once(build: Callable[[], Strategy]) -> None:
    before = Resources()
    server = TCPServer(("127.0.0.1", 0), BaseRequestHandler, strategy=build())
    assert server.strategy.drain(server, None)  # type: ignore[arg-type]
    assert server.strategy.drain(server, 0)  # type: ignore[arg-type]
    server.server_close()
    assert before.more() == NOTHING


def test_a_strategy_can_be_built_in_one_thread_and_used_in_another() -> None:
    built: list[Strategy] = []
    builder = threading.Thread(target=lambda: built.append(Threaded()))
    builder.start()
    builder.join()
    with TCPServer(("127.0.0.1", 0), BaseRequestHandler, strategy=built[0]) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        assert server.wait_until_serving(20)
        server.shutdown()
        serving.join(20)
        assert not serving.is_alive()
