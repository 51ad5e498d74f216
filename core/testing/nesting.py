"""What a strategy passes on to those that it nests."""

from __future__ import annotations

from typing import Any

from serverstrategy.ownership import nest
from serverstrategy.strategy import Strategy

from .clause import Make, Setting, clause
from .events import Events
from .outcome import BrokenError, NotApplicableError
from .stage import Stage

_QUESTIONS = ("serve", "ready", "process_request", "drain")


@clause
def nests_pass_on_all_questions(setting: Setting) -> None:
    """A strategy that has another one handle connections asks it all four questions."""

    def program(stage: Stage) -> None:
        strategy, inner = _build(stage.make)
        for number, each in enumerate(inner):
            stage.events.tell("inner", number=number, text=repr(each))
            _listen(each, number, stage.events)
        stage.events.tell("built")
        server = stage.build(strategy)
        stage.serve(server)
        stage.close(server)

    with setting.trial(program) as trial:
        trial.expect("built")
        inner = trial.events.select("inner")
        if not inner:
            raise NotApplicableError("it nests no other strategy")
        trial.check_echo().close()
        trial.check_echo().close()
        trial.end()
        for each in inner:
            told = trial.events.select("asked", number=each["number"])
            asked = {event["question"] for event in told}
            if "process_request" in asked and (missing := set(_QUESTIONS) - asked):
                questions = ", ".join(sorted(missing))
                raise BrokenError(
                    f"{each['text']} handled connections, and was not asked {questions}"
                )


def _build(make: Make) -> tuple[Strategy, list[Strategy]]:
    """The strategy, and those that were built on the way or are nested in it."""
    built: list[Any] = []

    def new(cls: type, *_: object, **__: object) -> Any:
        built.append(object.__new__(cls))
        return built[-1]

    Strategy.__new__ = new  # type: ignore[method-assign]
    try:
        strategy = make()
    finally:
        del Strategy.__new__
    # One that was built before, as the default of a parameter is, is found by its attribute.
    inner = {id(each): each for each in (*built, *nest(strategy)) if each is not strategy}
    return strategy, list(inner.values())


def _listen(strategy: Strategy, number: int, events: Events) -> None:
    """Tell of every question that `strategy` is asked."""

    def telling(question: str, method: Any) -> Any:
        def ask(*arguments: Any, **keywords: Any) -> Any:
            events.tell("asked", number=number, question=question)
            return method(*arguments, **keywords)

        return ask

    for question in _QUESTIONS:
        # A strategy may be a frozen dataclass.
        object.__setattr__(strategy, question, telling(question, getattr(strategy, question)))
