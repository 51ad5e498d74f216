"""The contract kit: checks any strategy, one of your own too, against every clause of the contract.

From a shell: `python -m serverstrategy check 'mypackage:MyStrategy(3)'`.
"""

from .check import check_strategy, clause_names, judge, strategy_contract
from .outcome import BrokenClauseError, ContractError, Outcome

__all__ = [
    "BrokenClauseError",
    "ContractError",
    "Outcome",
    "check_strategy",
    "clause_names",
    "judge",
    "strategy_contract",
]
