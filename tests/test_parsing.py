"""Strategies from text: `parse` reads what `repr` writes, and refuses everything else clearly."""

from __future__ import annotations

import inspect
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from serverstrategy import Strategy
from serverstrategy.strategies import (
    Adaptive,
    Fallback,
    Fixed,
    Forking,
    Limit,
    PerClient,
    Prefork,
    Synchronous,
    Threaded,
    ThreadPool,
    parse,
)

NAMES = [
    "Synchronous",
    "Threaded",
    "ThreadPool",
    "Forking",
    "Prefork",
    "Limit",
    "PerClient",
    "Fallback",
]

# What repr writes, which parse reads back to the same.
ROUND_TRIPS = [
    "Synchronous()",
    "Threaded()",
    "Threaded(1)",
    "Threaded(100)",
    "Threaded(1000000000000)",
    "ThreadPool(1)",
    "ThreadPool(8)",
    "ThreadPool(8, 1)",
    "ThreadPool(1, 1000)",
    "Forking()",
    "Forking(1)",
    "Forking(10)",
    "Forking(10, 2)",
    "Forking(spare=2)",
    "Prefork(1, Synchronous())",
    "Prefork(4, Synchronous())",
    "Prefork(4, ThreadPool(8))",
    "Prefork(4, ThreadPool(8, 2))",
    "Prefork(2, Forking(10))",
    "Prefork(2, Forking())",
    "Prefork(2, Threaded(100))",
    "Prefork(2, Threaded())",
    "Prefork(2, Prefork(3, ThreadPool(4)))",
    "Prefork(2, Synchronous(), max_requests=1000, max_requests_jitter=50)",
    "Prefork(2, Threaded(), max_memory=100000000, timeout=1.5, reload_step=2)",
    "Prefork(2, Synchronous(), max_restarts=None, restart_window=5.0)",
    "Prefork(Adaptive(2, 10), ThreadPool(2))",
    "Prefork(Adaptive(1, 10), Synchronous())",
    "Prefork(Adaptive(2, 10, 2, 3, 0.5), Synchronous())",
    "Prefork(Adaptive(2, 2, max_spare=8), Prefork(Fixed(2), Synchronous()))",
    "Limit(10, Threaded())",
    "Limit(10, Limit(20, Forking()))",
    "PerClient(2, ThreadPool(8))",
    "PerClient(2, ThreadPool(8), 'reset')",
    "Prefork(4, PerClient(2, Limit(10, Threaded()), 'reset'))",
    "Fallback(Threaded())",
    "Fallback(Prefork(4, ThreadPool(8)), Forking(10), ThreadPool(32))",
]


def attributes(built: object) -> dict[str, Any]:
    """The arguments that built a strategy, or a part of one."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(plain, value))
        return attributes(value) if isinstance(value, Strategy | Adaptive | Fixed) else value

    names = inspect.signature(type(built)).parameters
    return {name: plain(getattr(built, name)) for name in names} | {"": type(built)}


@pytest.mark.parametrize("text", ROUND_TRIPS)
def test_repr_and_parse_are_each_others_inverse(text: str) -> None:
    strategy = parse(text)
    assert repr(strategy) == text
    assert attributes(parse(repr(strategy))) == attributes(strategy)


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        (Synchronous(), "Synchronous()"),
        (Threaded(), "Threaded()"),
        (Threaded(limit=None), "Threaded()"),
        (Threaded(limit=7), "Threaded(7)"),
        (ThreadPool(3), "ThreadPool(3)"),
        (ThreadPool(threads=3, waiting=0), "ThreadPool(3)"),
        (ThreadPool(waiting=5, threads=3), "ThreadPool(3, 5)"),
        (Forking(), "Forking()"),
        (Forking(limit=40), "Forking()"),
        (Forking(limit=41), "Forking(41)"),
        (Forking(41, 2), "Forking(41, 2)"),
        (Forking(spare=2), "Forking(spare=2)"),
        (Prefork(workers=2), "Prefork(2, Synchronous())"),
        (Prefork(inner=Threaded(5), workers=3), "Prefork(3, Threaded(5))"),
        (Prefork(1, timeout=None, max_restarts=10), "Prefork(1, Synchronous())"),
        (Prefork(Adaptive(1, 9, 1, 4, 10.0)), "Prefork(Adaptive(1, 9), Synchronous())"),
        (Prefork(Adaptive(1, 9, settle=2)), "Prefork(Adaptive(1, 9, settle=2), Synchronous())"),
        (Limit(inner=Threaded(), n=3), "Limit(3, Threaded())"),
        (PerClient(3, Threaded(), on_full="close"), "PerClient(3, Threaded())"),
        (Fallback(Threaded(), Synchronous()), "Fallback(Threaded(), Synchronous())"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_repr_writes_what_differs_from_the_defaults(strategy: Strategy, text: str) -> None:
    assert repr(strategy) == text


def test_the_repr_of_the_defaults_says_how_many() -> None:
    assert repr(ThreadPool()) == f"ThreadPool({ThreadPool().threads})"
    assert repr(Prefork()) == f"Prefork({Prefork().workers}, Synchronous())"


@pytest.mark.parametrize(
    "strategy", [ThreadPool(), Prefork(), Prefork(Adaptive(1, 9)), Prefork(inner=ThreadPool())]
)
def test_the_defaults_make_the_round_trip(strategy: Strategy) -> None:
    assert attributes(parse(repr(strategy))) == attributes(strategy)


def test_the_repr_of_a_strategy_of_the_users_own() -> None:
    class Mine(Strategy):
        def __init__(
            self, first: int, second: int = 2, *, third: str = "3", fourth: int = 4
        ) -> None:
            self.first, self.second, self.third, self.fourth = first, second, third, fourth

    assert repr(Mine(1)) == "Mine(1)"
    assert repr(Mine(1, 3)) == "Mine(1, 3)"
    assert repr(Mine(1, third="x")) == "Mine(1, third='x')"
    assert repr(Mine(1, 2, fourth=5)) == "Mine(1, fourth=5)"
    assert repr(Mine(1, 0, third="x", fourth=0)) == "Mine(1, 0, third='x', fourth=0)"
    assert repr(Strategy()) == "Strategy()"

    class Several(Strategy):
        def __init__(self, first: int, *others: int, last: int = 9) -> None:
            self.first, self.others, self.last = first, others, last

    assert repr(Several(1)) == "Several(1)"
    assert repr(Several(1, 2, 9)) == "Several(1, 2, 9)"
    assert repr(Several(1, 2, last=3)) == "Several(1, 2, last=3)"


# Other spellings


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Synchronous", "Synchronous()"),
        ("Threaded", "Threaded()"),
        ("Forking", "Forking()"),
        ("Threaded(None)", "Threaded()"),
        ("Threaded(limit=None)", "Threaded()"),
        ("Threaded(limit=5)", "Threaded(5)"),
        ("ThreadPool(threads=4, waiting=2)", "ThreadPool(4, 2)"),
        ("ThreadPool(waiting=2, threads=4)", "ThreadPool(4, 2)"),
        ("ThreadPool(4, waiting=2)", "ThreadPool(4, 2)"),
        ("Prefork(3)", "Prefork(3, Synchronous())"),
        ("Prefork(3, Threaded)", "Prefork(3, Threaded())"),
        ("Prefork(3, None)", "Prefork(3, Synchronous())"),
        ("Prefork(3, inner=Threaded)", "Prefork(3, Threaded())"),
        ("Prefork(inner=Forking(limit=2), workers=3)", "Prefork(3, Forking(2))"),
        ("Prefork(Fixed(workers=3))", "Prefork(Fixed(3), Synchronous())"),
        ("Prefork(inner=Threaded, workers=Adaptive(1,7))", "Prefork(Adaptive(1, 7), Threaded())"),
        ("  Threaded ( 5 )  ", "Threaded(5)"),
        ("Threaded(5,)", "Threaded(5)"),
        ("Threaded(\n    5\n)\n", "Threaded(5)"),
        ("\tThreaded", "Threaded()"),
        ("(Threaded(5))", "Threaded(5)"),
        ("PerClient(inner=Threaded, on_full='close', n=2)", "PerClient(2, Threaded())"),
        ('PerClient(2, Threaded, "reset")', "PerClient(2, Threaded(), 'reset')"),
        ("Fallback(Prefork(2), Threaded)", "Fallback(Prefork(2, Synchronous()), Threaded())"),
        ("Threaded(1_000)", "Threaded(1000)"),
    ],
)
def test_other_spellings(text: str, meaning: str) -> None:
    assert repr(parse(text)) == meaning


@pytest.mark.parametrize("name", ["ThreadPool", "Prefork"])
def test_a_bare_name_means_the_defaults(name: str) -> None:
    assert repr(parse(name)) == repr(parse(f"{name}()"))


def test_each_call_builds_another_strategy() -> None:
    assert parse("Threaded") is not parse("Threaded")


# Bad texts


def message(text: str) -> str:
    with pytest.raises(ValueError, match=r".") as raised:
        parse(text)
    assert type(raised.value) is ValueError
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("Nonsense", "'Nonsense'"),
        ("Nonsense()", "'Nonsense'"),
        ("Nonsense(4, Threaded())", "'Nonsense'"),
        ("Prefork(4, Nonsense(8))", "'Nonsense'"),
        ("Prefork(4, inner=Nonsense)", "'Nonsense'"),
        ("Prefork(Nonsense)", "'Nonsense'"),
        ("int", "'int'"),
        ("Strategy()", "'Strategy'"),
        ("parse", "'parse'"),
        ("__import__", "'__import__'"),
        ("", "''"),
        ("   ", "''"),
        ("()", "()"),
        ("4", "'4'"),
        ("None", "'None'"),
        ("True", "'True'"),
        ("-4", "'-4'"),
        ("Threaded, Threaded", "Threaded, Threaded"),
        ("Threaded Threaded", "'Threaded Threaded'"),
        ("Threaded\nThreaded", r"'Threaded\nThreaded'"),
        ("Threaded; Threaded", "'Threaded; Threaded'"),
        ("Threaded(", "'Threaded('"),
        ("Threaded)", "'Threaded)'"),
        ("Threaded(5", "'Threaded(5'"),
        ("Threaded(limit=)", "'Threaded(limit=)'"),
        ("Threaded(5)()", "'Threaded(5)()'"),
        ("Threaded.limit", "'Threaded.limit'"),
        ("Threaded().drain", "'Threaded().drain'"),
        ("strategies.Threaded()", "'strategies.Threaded()'"),
        ("Threaded[5]", "'Threaded[5]'"),
        ("Threaded if 1 else Forking", "'Threaded if 1 else Forking'"),
        ("Threaded or Forking", "'Threaded or Forking'"),
        ("lambda: Threaded()", "'lambda: Threaded()'"),
        ("(x := Threaded())", "x := Threaded()"),
        ("x = Threaded()", "'x = Threaded()'"),
        ("import os", "'import os'"),
        ("[Threaded() for x in y]", "'[Threaded() for x in y]'"),
        ("f'{Threaded()}'", "{Threaded()}"),
        ("await Threaded()", "'await Threaded()'"),
        ("'Threaded()'", "'Threaded()'"),
        ("Threaded(b'5')", "b'5'"),
        ("Threaded(5j)", "'5j'"),
        ("Threaded(...)", "'...'"),
        ("Threaded(+5)", "'+5'"),
        ("Threaded(~5)", "'~5'"),
        ("Threaded(--5)", "'--5'"),
        ("Threaded(2 + 3)", "'2 + 3'"),
        ("Threaded(2 ** 99)", "'2 ** 99'"),
        ("Threaded(*[5])", "'*[5]'"),
        ("Threaded([*x])", "'*x'"),
        ("Threaded({5})", "'{5}'"),
        ("Threaded({})", "'{}'"),
        ("Threaded({'a': 5})", "\"{'a': 5}\""),
        ("Threaded(f'5')", "f'5'"),
        ("Threaded(-'5')", "-'5'"),
        ("Threaded(-True)", "'-True'"),
        ("Threaded(-None)", "'-None'"),
        ("Threaded(-Threaded)", "'-Threaded'"),
        ("'Threaded', 5.0", "'Threaded', 5.0"),
        ("Adaptive(2, 10)", "'Adaptive(2, 10)'"),
        ("Fixed(2)", "'Fixed(2)'"),
        ("[Threaded]", "'[Threaded]'"),
        ("Threaded(\0)", r"'Threaded(\x00)'"),
        ("Threaded(\udc80)", r"'Threaded(\udc80)'"),
        (
            "Thread\N{LATIN SMALL LETTER E WITH ACUTE}d",
            "'Thread\N{LATIN SMALL LETTER E WITH ACUTE}d'",
        ),
        ("Threaded\N{FULLWIDTH LEFT PARENTHESIS})", "'Threaded\N{FULLWIDTH LEFT PARENTHESIS})'"),
    ],
)
def test_a_bad_text_names_the_bad_part_and_lists_the_strategies(text: str, bad: str) -> None:
    said = message(text)
    assert bad in said
    assert f"the strategies are {', '.join(NAMES)}" in said


@pytest.mark.parametrize(
    ("text", "name", "bad"),
    [
        ("Threaded(0)", "Threaded", "0"),
        ("Threaded(-5)", "Threaded", "-5"),
        ("Threaded('5')", "Threaded", "'5'"),
        ("Limit(3)", "Limit", "'inner'"),
        ("Limit(0, Threaded)", "Limit", "n must be at least 1, not 0"),
        ("Limit(3, Prefork(2))", "Limit", "write Prefork(2, Limit(3, Synchronous()))"),
        ("PerClient(3, 'Threaded')", "PerClient", "'Threaded'"),
        ("PerClient(3, Threaded, 'wait')", "PerClient", "'close' or 'reset', not 'wait'"),
        ("Fallback", "Fallback", "needs strategies"),
        ("Fallback(Threaded, 3)", "Fallback", "3"),
        ("Threaded(True)", "Threaded", "True"),
        ("Threaded('5')", "Threaded", "not '5'"),
        ("Threaded(5.0)", "Threaded", "not 5.0"),
        ("Threaded([5])", "Threaded", "not [5]"),
        ("Threaded(limit=(5,))", "Threaded", "not (5,)"),
        ("Threaded(Forking)", "Threaded", "Forking()"),
        ("Threaded(1, 2)", "Threaded", "positional"),
        ("Threaded(workers=2)", "Threaded", "'workers'"),
        ("Threaded(5, limit=5)", "Threaded", "'limit'"),
        ("Synchronous(1)", "Synchronous", "arguments"),
        ("Synchronous(limit=1)", "Synchronous", "arguments"),
        ("ThreadPool(0)", "ThreadPool", "threads must be at least 1, not 0"),
        ("ThreadPool(1, -1)", "ThreadPool", "waiting must be at least 0, not -1"),
        ("ThreadPool(1, None)", "ThreadPool", "None"),
        ("Forking(None)", "Forking", "None"),
        ("Forking(0)", "Forking", "limit must be at least 1, not 0"),
        ("Prefork(0)", "Prefork", "workers must be at least 1, not 0"),
        ("Prefork(ThreadPool(8))", "Prefork", "ThreadPool(8)"),
        ("Prefork(2, 3)", "Prefork", "3"),
        (
            "Prefork('2')",
            "Prefork",
            "workers must be an int or a Sizing, such as Adaptive(2, 10), not",
        ),
        ("Prefork(2, Adaptive(1, 2))", "Prefork", "not Adaptive(1, 2)"),
        ("Prefork(Adaptive)", "Adaptive", "missing 2 required positional arguments"),
        ("Prefork(2, Prefork(2), max_requests=9)", "Prefork", "give it to the Prefork inside"),
        ("Prefork(Adaptive(0, 4))", "Adaptive", "min_workers must be at least 1, not 0"),
        ("Prefork(Adaptive(3, 2))", "Adaptive", "max_workers must be at least 3, not 2"),
        ("Threaded(Fixed(2))", "Threaded", "not Fixed(2)"),
        ("Prefork(2, Threaded(0))", "Threaded", "limit must be at least 1, not 0"),
        ("Threaded(**{})", "Threaded", "**"),
    ],
)
def test_a_bad_argument_is_told_with_the_strategy_that_refuses_it(
    text: str, name: str, bad: str
) -> None:
    said = message(text)
    assert name in said
    assert bad in said


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("threaded", "Threaded"),
        ("THREADED()", "Threaded"),
        ("Treaded()", "Threaded"),
        ("Threadpool(8)", "ThreadPool"),
        ("Thread_Pool(8)", "ThreadPool"),
        ("ThreadPol", "ThreadPool"),
        ("synchronus", "Synchronous"),
        ("forking", "Forking"),
        ("PreFork(4)", "Prefork"),
        ("Prefork(4, threadPool(8))", "ThreadPool"),
        ("Prefork(Adaptiv(2))", "Adaptive"),
        ("PreForking(2)", "Prefork"),
    ],
)
def test_a_wrong_name_gets_a_proposal(text: str, meant: str) -> None:
    assert f"(did you mean '{meant}'?)" in message(text)


@pytest.mark.parametrize("text", ["Nonsense", "x", "Gevent(100)", "_", "q" * 1000])
def test_a_name_that_is_like_none_gets_no_proposal(text: str) -> None:
    assert "did you mean" not in message(text)


def test_a_keyword_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        parse("Threaded(limit=1, limit=2)")


def test_the_name_is_told_before_its_arguments() -> None:
    with pytest.raises(ValueError, match="there is no strategy 'Gevent'"):
        parse("Gevent('8')")


@pytest.mark.parametrize("text", [None, 4, b"Threaded()", ["Threaded()"], Threaded(), Threaded])
def test_what_is_no_text_is_refused(text: Any) -> None:
    with pytest.raises(TypeError, match="text must be a str"):
        parse(text)


# A sizing of the user's own

BY_DAY = """
class ByDay:
    most = 9
    interval = None

    def __init__(self, workers):
        self.workers = workers

    def wanted(self, workers, spare):
        return self.workers


def by_night():
    return ByDay(2)


def nothing():
    return None
"""


def test_a_sizing_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sizings.py").write_text(BY_DAY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sizings", raising=False)
    for place, wanted in [("sizings:ByDay(3)", 3), ("sizings:by_night", 2)]:
        prefork: Any = parse(f"Prefork({place}, Threaded())", allow_import=True)
        assert prefork.workers.wanted(9, 9) == wanted
        with pytest.raises(ValueError, match="is code to import, which this text may not name"):
            parse(f"Prefork({place})")
        with pytest.raises(ValueError, match=f"'{re.escape(place)}' is no strategy"):
            parse(place, allow_import=True)
    with pytest.raises(ValueError, match="it returned None, which is no strategy"):
        parse("Prefork(sizings:nothing)", allow_import=True)
    del sys.modules["sizings"]


# Hostile texts


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').mkdir(PATH)",
        "Threaded(__import__('os').mkdir(PATH))",
        "Threaded(limit=__import__('os').mkdir(PATH))",
        "Threaded(**{'limit': __import__('os').mkdir(PATH)})",
        "Threaded(*[__import__('os').mkdir(PATH)])",
        "[__import__('os').mkdir(PATH) for x in (1,)]",
        "(lambda: __import__('os').mkdir(PATH))()",
        "exec('import os; os.mkdir(' + repr(PATH) + ')')",
        "open(PATH, 'w')",
        "Threaded(open(PATH, 'w'))",
        'f"{open(PATH, chr(119))}"',
        "Threaded.__init__.__globals__['__builtins__']['open'](PATH, 'w')",
    ],
)
def test_nothing_is_evaluated(text: str, tmp_path: Any) -> None:
    path = tmp_path / "made"
    evil = text.replace("PATH", repr(str(path)))
    compile(evil, "evil", "eval")  # it is good Python, which would do harm
    message(evil)
    assert not path.exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("(", ")"),
        ("[", "]"),
        ("-", ""),
        ("not ", ""),
        ("Prefork(2, ", ")"),
        ("Prefork(inner=", ")"),
        ("", ".x"),
        ("", "()"),
        ("", "[0]"),
        ("", " + 1"),
        ("", " or 1"),
        ("lambda: ", ""),
        ("Threaded(", ""),
        ("{", ""),
    ],
    ids=lambda part: part.strip() or "none",
)
def test_a_deep_text_is_refused(before: str, after: str) -> None:
    for depth in (200, 500, 5000, 100_000):
        message(before * depth + "1" + after * depth)


def test_a_text_that_is_too_long_is_refused_at_once() -> None:
    assert "at most 20000" in message("lambda: " * 100_000)


def test_a_text_may_have_some_depth() -> None:
    assert repr(parse("(" * 50 + "Threaded" + ")" * 50)) == "Threaded()"


@pytest.mark.parametrize(
    "text",
    [
        "Threaded(" + "9" * 10_000 + ")",
        "9" * 10_000,
        "x" * 1_000_000,
        "Threaded(" + "1, " * 100_000 + ")",
        "Threaded(x=" + "'y'" * 10_000 + ")",
        "Threaded(" + " " * 1_000_000,
        "'" * 100_001,
        "\\" * 10_000,
        "\n" * 10_000 + "(",
    ],
    ids=range(9),
)
def test_a_huge_text_is_refused(text: str) -> None:
    message(text)


def test_a_huge_number_is_told_or_taken_but_never_a_crash() -> None:
    with pytest.raises(ValueError, match="Threaded"):
        parse("Threaded(-0x" + "f" * 10_000 + ")")


# Without fork


@pytest.mark.parametrize("text", ["Forking()", "Prefork(2, Threaded())", "Fallback(Forking())"])
def test_a_platform_without_fork_is_no_mistake_of_the_text(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")
    assert repr(parse(text)) == text
