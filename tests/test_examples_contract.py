"""The strategies of `docs/examples` keep the contract."""

from __future__ import annotations

import pytest

from executor import OnExecutor
from judging import Case
from serverstrategy.testing import Outcome, clause_names, strategy_contract

OTHERS = [
    "asyncio_loop:AsyncioLoop(3)",
    "gevent_each:GeventEach()",
    "gevent_each:GeventEach(3)",
    "per_client:PerClientLimit(100, ThreadPool(3))",
    "per_client:PerClientLimit(100, Threaded())",
]

# As it is done in the tests of somebody's own strategy.
TestOnExecutor = strategy_contract(lambda: OnExecutor(3))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", [Case(each) for each in OTHERS], ids=OTHERS)
def test_an_example_keeps_the_contract(case: Case, outcomes: dict[Case, list[Outcome]]) -> None:
    assert [each.clause for each in outcomes[case]] == list(clause_names())
    assert [each for each in outcomes[case] if each.result == "broken"] == []
