"""The contract kit: the strategies in the box keep the contract, and what does not is named."""

from __future__ import annotations

import unittest
from typing import Any

import pytest

from broken import BROKEN
from broken.slow import SLOW
from judging import Case
from probes import STRATEGIES
from serverstrategy import Strategy
from serverstrategy.strategies import Threaded
from serverstrategy.testing import (
    BrokenClauseError,
    ContractError,
    Outcome,
    check_strategy,
    clause_names,
    judge,
    strategy_contract,
)

IN_THE_BOX = [
    *STRATEGIES,
    "Limit(3, Threaded())",
    "PerClient(1, ThreadPool(3))",
    "Prefork(2, PerClient(1, Forking(3)))",
    "Prefork(2, Limit(3, Threaded()))",
    "Fallback(Prefork(2, ThreadPool(4)), Synchronous())",
]


class DrainsAtOnce(Threaded):
    def drain(self, server: Any, timeout: float | None) -> bool:
        return True


def of_each_clause(
    strategies: dict[str, list[type[Strategy]]], **options: Any
) -> pytest.MarkDecorator:
    """Cases of each clause; `options` are those of a case."""
    cases = [
        Case(f"{cls.__module__}:{cls.__name__}()", clause, **options)
        for clause, classes in strategies.items()
        for cls in classes
    ]
    ids = [f"{case.clause}-{case.strategy.partition(':')[2]}" for case in cases]
    return pytest.mark.parametrize("case", cases, ids=ids)


@pytest.mark.timeout(600)
@of_each_clause(BROKEN, patience=1.0)
def test_what_breaks_a_clause_is_found_by_it(
    case: Case, outcomes: dict[Case, list[Outcome]]
) -> None:
    assert [each.result for each in outcomes[case]] == ["broken"], outcomes[case]


@pytest.mark.timeout(600)
@of_each_clause(SLOW)
def test_what_is_slow_breaks_nothing(case: Case, outcomes: dict[Case, list[Outcome]]) -> None:
    assert [each.result for each in outcomes[case]] == ["passed"], outcomes[case]


def test_each_clause_has_two_that_break_it_and_a_slow_one_that_does_not() -> None:
    assert set(BROKEN) == set(SLOW) == set(clause_names())
    assert min(map(len, BROKEN.values())) >= 2
    assert min(map(len, SLOW.values())) >= 1


@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", [Case(each) for each in IN_THE_BOX], ids=IN_THE_BOX)
def test_a_strategy_in_the_box_keeps_the_contract(
    case: Case, outcomes: dict[Case, list[Outcome]]
) -> None:
    assert [each.clause for each in outcomes[case]] == list(clause_names())
    assert [each for each in outcomes[case] if each.result == "broken"] == []


def test_the_broken_clause_is_named_with_what_was_seen_and_expected() -> None:
    with pytest.raises(ContractError, match="drain_waits_for_the_work") as raised:
        check_strategy(
            DrainsAtOnce, clauses=["errors_are_reported", "drain_waits_for_the_work"], patience=2.0
        )
    (broken,) = raised.value.broken
    assert broken.clause == "drain_waits_for_the_work"
    assert broken.expected == "`drain` does not return before the handlers have ended"
    assert broken.seen == "drain has returned while 4 handlers were running"


def test_there_is_a_test_for_each_clause() -> None:
    case = strategy_contract(DrainsAtOnce, patience=2.0)
    assert issubclass(case, unittest.TestCase)
    names = unittest.defaultTestLoader.getTestCaseNames(case)
    assert sorted(names) == sorted(f"test_{name}" for name in clause_names())
    result = unittest.TestResult()
    for name in ("errors_are_reported", "nests_pass_on_all_questions", "drain_waits_for_the_work"):
        case(f"test_{name}").run(result)
    assert result.testsRun == 3
    assert [reason for _, reason in result.skipped] == ["it nests no other strategy"]
    ((_, failure),) = result.failures
    assert BrokenClauseError.__name__ in failure


def test_datagrams_that_a_strategy_cannot_handle_do_not_apply() -> None:
    class Streams(Threaded):
        datagrams = False

    (outcome,) = check_strategy(Streams, clauses=["datagrams_are_answered"])
    assert (outcome.result, outcome.details) == ("not applicable", "it says datagrams = False")


def test_a_constructor_that_fails_is_no_pass() -> None:
    def make() -> Strategy:
        raise ValueError("no such device")

    with pytest.raises(ContractError, match="ValueError: no such device"):
        check_strategy(make, clauses=["repr_is_the_expression"])


def test_what_is_no_strategy_is_no_pass() -> None:
    with pytest.raises(ContractError, match="not None"):
        check_strategy(lambda: None, clauses=["serve_lasts_until_the_stop"])  # type: ignore[arg-type, return-value]


def test_a_strategy_instead_of_a_function_is_refused() -> None:
    with pytest.raises(TypeError, match=r"write lambda: Threaded\(\)"):
        check_strategy(Threaded())  # type: ignore[arg-type]


def test_an_unknown_clause_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no clause 'other': they are each_"):
        judge(Threaded, clauses=["other"])
