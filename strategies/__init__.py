"""The strategies in the box, and `parse`, which builds one from its `repr`."""

from .forking import Forking
from .parsing import parse
from .prefork import Prefork
from .synchronous import Synchronous
from .thread_pool import ThreadPool
from .threaded import Threaded

__all__ = ["Forking", "Prefork", "Synchronous", "ThreadPool", "Threaded", "parse"]
