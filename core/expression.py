"""The expression that builds an object."""

from __future__ import annotations


def expression(built: object) -> str:
    """The expression that builds `built`: its class, with the arguments that differ from defaults.

    Each argument of the constructor is read back from the attribute of the same name.
    """
    import inspect  # here, because it costs more to import than the rest of this package

    if not hasattr(inspect, "signature"):  # a signal handler, amid that import
        return f"{type(built).__name__}(...)"
    shown: list[str] = []
    in_order = True
    parameters: list[inspect.Parameter] = []
    if type(built).__init__ is not object.__init__:
        parameters = list(inspect.signature(type(built)).parameters.values())
    for parameter in parameters:
        value = getattr(built, parameter.name)
        if parameter.kind is parameter.VAR_POSITIONAL:
            shown += map(repr, value)
        elif value == parameter.default:
            in_order = False
        elif in_order and parameter.kind is not parameter.KEYWORD_ONLY:
            shown.append(repr(value))
        else:
            shown.append(f"{parameter.name}={value!r}")
    return f"{type(built).__name__}({', '.join(shown)})"
