"""Builds a strategy from text, such as that of a flag or of an environment variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverstrategy.strategy import Strategy

from . import registry
from .place import Builder, reason
from .sizing import is_sizing

if TYPE_CHECKING:
    import ast


# Python's own parser takes minutes for some texts of a megabyte.
_LONGEST = 20_000


def parse(text: str, *, allow_import: bool = False) -> Strategy:
    """Build the strategy that `text` describes: `parse(repr(strategy))` builds its like.

    The text is read, not evaluated: it can hold names of strategies and of sizings, numbers,
    strings, True, False, None, keywords, nested strategies, and lists and tuples of these, and
    nothing else. A bare name means the defaults: `"Threaded"` is `Threaded()`. Whether the platform
    can run it is asked later, by the server that is given it.

    A name is one in the box, or one that an installed package declares as an entry point of the
    group `serverstrategy.strategies`. The package is imported when the text names its strategy.

    Args:
        text: what to read, at most 20,000 characters.
        allow_import: whether the text may also name a place, `"mypackage.module:MyStrategy(3)"`,
            whose module is imported: a class of strategies, or a function that returns one. Only
            for a text from somebody who may run any code here. The place of a strategy that an
            installed package declares needs no permission.

    Raises:
        TypeError: `text` is no str.
        ValueError: it cannot be read, a strategy refuses its arguments, or what it names cannot be
            loaded; the message names the part that is wrong.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, not {text!r}")
    if len(text) > _LONGEST:
        raise ValueError(
            f"a text of {len(text)} characters cannot be read: at most {_LONGEST} can; "
            f"{registry.known()}"
        )
    try:
        value = _Reader(text.strip(), allow_import).read()
    except (RecursionError, MemoryError):
        raise ValueError(f"the text is nested too deeply to be read; {registry.known()}") from None
    if not isinstance(value, Strategy):
        raise ValueError(  # noqa: TRY004 - it is a str
            f"{text!r} is no strategy; {registry.known()}"
        )
    return value


class _Reader:
    """Reads one text."""

    def __init__(self, text: str, allow_import: bool) -> None:
        self._text = text
        self._allow_import = allow_import

    def read(self) -> object:
        import ast  # here, because it costs more to import than the rest of this package
        import tokenize

        try:
            tree = ast.parse(_exchange_signs(self._text), mode="eval")
        except (SyntaxError, tokenize.TokenError, ValueError) as error:
            # ValueError: a null byte, a lone surrogate
            why = error if isinstance(error, ValueError) else error.args[0]
            raise ValueError(f"{self._text!r} cannot be read: {why}; {registry.known()}") from None
        return self._build(tree.body)

    def _build(self, node: ast.expr) -> object:
        import ast

        match node:
            case ast.Constant(value=int() | float() | str() | None as value):  # a bool is an int
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                if not isinstance(value, bool):
                    return -value
            case ast.List(elts=elements):
                return [self._build(each) for each in elements]
            case ast.Tuple(elts=elements):
                return tuple(self._build(each) for each in elements)
            case ast.BinOp(left=module, op=ast.MatMult(), right=ast.Call(func=name) as call):
                return self._build_at(node, module, name, call)
            case ast.BinOp(left=module, op=ast.MatMult(), right=name):
                return self._build_at(node, module, name, None)
            case ast.Call(func=ast.Name(id=name)):
                return self._call(name, registry.find(name), node)
            case ast.Name(id=name):
                return self._call(name, registry.find(name), None)
        raise self._refusal(node)

    def _build_at(
        self, node: ast.expr, module: ast.expr, name: ast.expr, call: ast.Call | None
    ) -> object:
        parts = _dotted(module), _dotted(name)
        if not all(parts):
            raise self._refusal(node)
        place = ":".join(parts)
        builder = registry.find_at(place, allow_import=self._allow_import)
        return self._call(place, builder, call)

    def _call(self, name: str, builder: Builder, call: ast.Call | None) -> object:
        named: dict[str, object] = {}
        for keyword in call.keywords if call else ():
            if keyword.arg is None:
                raise ValueError(f"'**' cannot be read in the arguments of {name}")
            if keyword.arg in named:
                raise ValueError(f"{name} is given {keyword.arg!r} twice")
            named[keyword.arg] = self._build(keyword.value)
        positional = [self._build(each) for each in call.args] if call else []
        return _call(name, builder, positional, named)

    def _refusal(self, node: ast.expr) -> ValueError:
        import ast

        return ValueError(
            f"{ast.get_source_segment(self._text, node)!r} cannot be read here: write a strategy, "
            f"a number, a string, True, False, None, or a list of these; {registry.known()}"
        )


def _exchange_signs(text: str) -> str:
    """Write `@` for `:`, outside strings, and `:` for `@`.

    `module:Name(3)` is no expression of Python, but `module@Name(3)` is, and binds as it should.
    The other way round, so that an `@` in the text stays an error.

    Raises:
        SyntaxError, tokenize.TokenError, ValueError: the text is no Python in any case.
    """
    if ":" not in text and "@" not in text:
        return text
    import io
    import tokenize

    signs = {":": "@", "@": ":"}
    return tokenize.untokenize(
        token._replace(string=signs.get(token.string, token.string))
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
    )


def _dotted(node: ast.expr) -> str:
    """The name `a.b.c`, or an empty text for anything else."""
    import ast

    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            before = _dotted(value)
            return f"{before}.{name}" if before else ""
    return ""


def _call(
    name: str, builder: Builder, positional: list[object], named: dict[str, object]
) -> object:
    try:
        built = builder(*positional, **named)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None
    except (OSError, RecursionError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"{name}: {reason(error)}") from error
    if not (isinstance(built, Strategy) or is_sizing(built)):
        raise ValueError(f"{name}: it returned {built!r}, which is no strategy")
    return built
