"""A class built on `socketserver`, with our methods in the place of the standard library's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import standard
from .datagrams import DatagramHooks
from .generation import CUT_TIME
from .handling import Handling
from .overriding import replaced_methods
from .servable import Servable
from .server_status import StatusMethod
from .service_actions import ServiceActions
from .strategy import Strategy

# The grace period, in seconds, of a class that says that its threads need not be waited for.
_SHORT_GRACE = 1.0

_OURS = [cls for cls in Servable.__mro__ if cls not in (StatusMethod, object)]

# What a class may have without harm: names of the standard library's, and two that are settings.
_FREE = {name for cls in (standard.UDPServer, *standard.MIX_INS) for name in dir(cls)}
_FREE |= {"grace_period", "make_strategy"}
_TAKEN = {name for cls in _OURS for name in vars(cls) if not name.startswith("_")} - _FREE

# Attributes of adopted classes: the class without a strategy, the mix-ins that tell the truth, and
# that it is one, not one that was derived from one.
_PLAIN = "_serverstrategy_plain"
_TRUE_MIX_INS = "_serverstrategy_true_mix_ins"
_IS_ADOPTED = "_serverstrategy_is_adopted"


class GracePeriod:
    """How long `server_close` waits by default: hardly, if the class says that it need not."""

    def __get__(self, server: Any, owner: type | None = None) -> float | None:
        if server is None or (server.block_on_close and not server.daemon_threads):
            return Servable.grace_period
        return _SHORT_GRACE


class MixInStandIn:
    """Takes the place of `ThreadingMixIn` and `ForkingMixIn`: the strategy does what they did."""

    grace_period = GracePeriod()

    daemon_threads = False
    block_on_close = True
    max_children = 40
    process_request = Handling.process_request
    process_request_thread = Handling.process_request_thread
    collect_children = Servable.collect_children
    active_children = vars(Servable)["active_children"]
    service_actions = ServiceActions()


class Closing(Servable):
    """What an adopted class does around what it does itself.

    It closes, whatever its own `server_close` does or leaves, and its class tells the truth.
    """

    def server_close(self) -> None:
        """Call the class's own `server_close`, and close as every server of ours does."""
        state = self._serverstrategy
        if state.is_here() and not state.is_closed:
            # First, since the class may close the listener by itself.
            state.serving.stop_now()
            state.serving.wait_until_stopped(CUT_TIME)
        try:
            super().server_close()
        finally:
            Servable.server_close(self)

    def _serverstrategy_given(self, strategy: Strategy) -> None:
        # Past a __setattr__ of its own.
        object.__setattr__(self, "__class__", true_class(type(self), strategy))


class Unannounced:
    """Keeps the making of an adopted class from the `__init_subclass__` of its own classes.

    That is for the classes that a program derives: it may note them, or want arguments.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if _IS_ADOPTED not in vars(cls):
            super().__init_subclass__(**kwargs)


class Placing(type):
    """The metaclass of adopted classes, and of those derived from them: it places ours."""

    def mro(cls) -> list[type]:
        """The method resolution order. See `place`."""
        order = place(super().mro())
        if _IS_ADOPTED not in vars(cls):
            return order
        return [cls, Unannounced, *(each for each in order[1:] if each is not Unannounced)]


def adopted_class(cls: type, **namespace: Any) -> type:
    """Derive a class that serves by a strategy, of the same name, from `cls`.

    Raises:
        TypeError: that cannot work; the message says why.
    """
    order = place(list(cls.__mro__))
    methods = replaced_methods(order, Handling.process_request)
    _check_signature(cls, methods)
    if Servable not in cls.__mro__:
        check_names(cls, {name for each in cls.__mro__ for name in vars(each)})
    metaclass: type[type] = Placing
    if type(cls) is not type:
        is_placing = issubclass(type(cls), Placing)
        metaclass = type(cls) if is_placing else type("Placing", (Placing, type(cls)), {})
    bases = (cls,) if Closing in order else (Closing, cls)
    names = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    return metaclass(cls.__name__, bases, names | methods | namespace | {_IS_ADOPTED: True})


def true_class(cls: type, strategy: Strategy) -> type:
    """Derive the class that says the truth about `strategy` from `cls`, adopted or not.

    `isinstance` of a mix-in, and the attributes `multithread` and `multiprocess` of a class that
    has them for WSGI (PEP 3333), decide in programs whether a connection may be kept alive.
    """
    plain = vars(cls).get(_PLAIN, cls)
    told = {"multithread": strategy.multithread, "multiprocess": strategy.multiprocess}
    true_mix_ins = [
        cls for cls, is_true in zip(standard.MIX_INS, told.values(), strict=False) if is_true
    ]
    flags = {name: told[name] for name in told if isinstance(getattr(plain, name, None), bool)}
    return adopted_class(plain, **{_PLAIN: plain, _TRUE_MIX_INS: true_mix_ins}, **flags)


def is_threading(cls: type) -> bool:
    """Whether `cls` mixed in `ThreadingMixIn` before it was adopted."""
    return issubclass(vars(cls).get(_PLAIN, cls), standard.ThreadingMixIn)


def mixes_in(cls: type) -> bool:
    """Whether `cls` mixes in a concurrency of the standard library's that is still in force."""
    return MixInStandIn not in cls.__mro__ and any(each in cls.__mro__ for each in standard.MIX_INS)


def place(order: list[type]) -> list[type]:
    """Put our classes into a method resolution order, each before what it takes the place of.

    `MixInStandIn` stands before the first mix-in, and the others before the first server class of
    the standard library. So every class keeps its place among those of its package: what a mix-in
    shadowed, it still shadows, and `super()` of the last class before ours finds ours.

    A mix-in stays as far as it tells the truth, and is added at the end, where its methods are
    not found, if its absence would be untrue. After it comes `StatusMethod`, which hides nothing.
    """
    truth = next((vars(cls)[_TRUE_MIX_INS] for cls in order if _TRUE_MIX_INS in vars(cls)), None)
    # A class that is built on our own TCPServer has these already.
    ours, last = ([*_OURS], [StatusMethod]) if standard.BaseServer in order else ([], [])
    if standard.UDPServer in order:
        ours.insert(0, DatagramHooks)
    placed: list[type] = []
    for cls in order:
        if cls in standard.MIX_INS:
            if MixInStandIn not in placed:
                placed.append(MixInStandIn)
            if truth is None or cls in truth:
                placed.append(cls)
        # ThreadingTCPServer and its like are servers too, but stand before their mix-in.
        elif cls in standard.SERVERS and not issubclass(cls, tuple(standard.MIX_INS)):
            placed += [each for each in ours if each not in placed]
            placed.append(cls)
        elif cls is not MixInStandIn and cls not in (*ours, *last):
            placed.append(cls)
    added = [cls for cls in truth or () if cls not in placed]
    return [*placed[:-1], *added, *last, placed[-1]]


def check_names(cls: type, names: Iterable[str]) -> None:
    """Check that none of the attributes `names` of `cls` hides what strategies ask a server for.

    Raises:
        TypeError: one does.
    """
    for name in _TAKEN.intersection(names):
        raise TypeError(
            f"{cls.__name__} cannot be given a strategy: it has an attribute {name!r} of its own, "
            "and strategies ask a server for that"
        )


def _check_signature(cls: type, methods: dict[str, Any]) -> None:
    import inspect  # here, because it costs more to import than the rest of this package

    name = "process_request_thread"
    method = methods.get(name, getattr(cls, name, None))
    try:
        if method is not None:
            inspect.signature(method).bind("server", "request", "client_address")
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{cls.__name__} cannot be given a strategy: its {name}(), which a strategy runs for "
            f"each connection, does not take a request and a client_address: {error}"
        ) from None
