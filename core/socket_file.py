"""The file of a Unix socket: replaced when it is stale, removed when its server closes."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base_server import BaseServer
else:
    BaseServer = object

_Identity = tuple[int, int]


class SocketFile(BaseServer):
    """What a server at a path of the file system does about the file there.

    Neither is done unless it is asked for, since the standard library does neither.

    Attributes, which may be set on a subclass or given to the constructor:
        remove_on_close: whether `server_close` removes the file, if it is still this server's own:
            a file that somebody else has put in its place stays.
        replace_stale: whether to replace a socket at the path at which nobody listens, which a
            server leaves that was killed. One that is in use stays: `OSError` (`EADDRINUSE`).
    """

    remove_on_close: bool = False
    replace_stale: bool = False
    _socket_file: tuple[Path, _Identity] | None = None

    def __init__(
        self,
        *args: Any,
        remove_on_close: bool | None = None,
        replace_stale: bool | None = None,
        **kwargs: Any,
    ) -> None:
        if remove_on_close is not None:
            self.remove_on_close = remove_on_close
        if replace_stale is not None:
            self.replace_stale = replace_stale
        super().__init__(*args, **kwargs)

    def server_bind(self) -> None:
        """Bind the listener to the path."""
        path = _path(self.server_address)
        if path is not None and self.replace_stale:
            _remove_if_stale(path)
        super().server_bind()
        if path is not None:
            path = path.absolute()  # since a daemon changes its folder
            self._socket_file = path, _identity(path)

    def server_close(self) -> None:
        """Remove the file if that is wanted, and close as every server does."""
        # Not by a child, whose parent goes on.
        if self.remove_on_close and self._serverstrategy.is_here():
            # In one step: another thread, or a signal handler, may close as well.
            found = vars(self).pop("_socket_file", None)
            if found is not None:
                path, identity = found
                # Before the listener is closed: no client finds a file that refuses, and the
                # system does not give the inode's number to another file.
                with contextlib.suppress(OSError):
                    if _identity(path) == identity:
                        path.unlink()
        super().server_close()


def _path(server_address: Any) -> Path | None:
    """The path; None for a name in Linux' abstract namespace, and for one that the system picks."""
    name = os.fsdecode(server_address)
    return Path(name) if name and not name.startswith("\0") else None


def _identity(path: Path) -> _Identity:
    status = path.stat(follow_symlinks=False)
    return status.st_dev, status.st_ino


def _remove_if_stale(path: Path) -> None:
    """Remove the socket at `path` if there is no process that has it."""
    try:
        status = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        return  # and bind says EADDRINUSE
    # A datagram socket, whatever is there: a server of connections does not notice, and even
    # before it listens the answer is EPROTOTYPE, not ECONNREFUSED.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            return
    with contextlib.suppress(FileNotFoundError):
        now = path.stat(follow_symlinks=False)
        # The time, since a file that has taken its place may have got the inode's number too.
        if os.path.samestat(now, status) and now.st_ctime_ns == status.st_ctime_ns:
            path.unlink()
