"""Finds out whether the standard library's own loop serves a server already."""

from __future__ import annotations

import gc
import selectors
import socketserver
import sys
from collections.abc import Iterator

from . import standard

# What the loop waits by; private, so a class of its own if it ever goes away.
_Selector: type = getattr(socketserver, "_ServerSelector", selectors.BaseSelector)


def serves_here(server: object) -> bool:
    """Whether the calling thread is below `socketserver.BaseServer.serve_forever` of `server`."""
    loop = standard.BaseServer.serve_forever.__code__
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is loop and frame.f_locals.get("self") is server:
            return True
    return False


def serves_elsewhere(server: object) -> bool:
    """Whether a thread is in `socketserver.BaseServer.serve_forever` of `server`.

    Its selector, which is a local variable, has the server itself registered. The garbage
    collector knows who refers to whom. The other threads' stacks are not looked at: they change
    meanwhile, and CPython 3.11 has been seen to hand out frames there that are none.
    """
    for key in gc.get_referrers(server):
        if isinstance(key, selectors.SelectorKey) and key.fileobj is server:
            for selector in _holders(key):
                if isinstance(selector, _Selector):
                    return True
    return False


def _holders(key: object) -> Iterator[object]:
    """The objects in one of whose attributes is a dict that has `key` as a value."""
    for mapping in gc.get_referrers(key):
        if isinstance(mapping, dict):
            for holder in gc.get_referrers(mapping):
                yield holder
                if isinstance(holder, dict):  # the attributes of an object, in a dict of its own
                    yield from gc.get_referrers(holder)
