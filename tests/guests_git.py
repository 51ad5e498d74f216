"""Guests that serve git repositories: the two servers of dulwich, with its own client."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guests_common import HOST, Gift, Guest, Visit

AUTHOR = b"Guest <guest@localhost>"


class GitServer(Guest):
    """`TCPGitServer` of dulwich, for clones and pushes by the client of dulwich."""

    packages = ("dulwich",)
    noise = ("ignore:unclosed Protocol:ResourceWarning",)
    scheme = "git"

    def backend(self) -> Any:
        from dulwich import porcelain
        from dulwich.errors import NotGitRepository
        from dulwich.repo import Repo
        from dulwich.server import Backend

        stack = self.stack
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        first, bare, quiet = folder / "first", folder / "bare", io.BytesIO()
        with contextlib.closing(porcelain.init(first)) as repo:
            (first / "file").write_text("content\n" * 10_000)
            porcelain.add(repo, [first / "file"])
            porcelain.commit(repo, b"the first", author=AUTHOR, committer=AUTHOR)
        porcelain.clone(str(first), bare, bare=True, errstream=quiet).close()

        class OneRepository(Backend):
            """The repository at `/`, opened anew for each request.

            The object store of a `Repo` that threads share loses objects: where two threads look
            for new packs at once, only one of them is told of each pack.
            """

            def open_repository(self, path: str | bytes) -> Any:
                if path not in ("/", b"/"):
                    raise NotGitRepository(f"{path!r} is not served")
                return stack.enter_context(contextlib.closing(Repo(bare)))

        return OneRepository()

    def make(self, gift: Gift) -> Any:
        from dulwich.server import TCPGitServer

        return gift.to_instance(gift.to_class(TCPGitServer)(self.backend(), HOST, 0))

    def exercise(self, visit: Visit) -> None:
        from dulwich import porcelain
        from dulwich.errors import GitProtocolError, NotGitRepository

        url = f"{self.scheme}://{visit.host}:{visit.port}/"

        def client(number: int) -> None:
            branch = f"refs/heads/branch{number}".encode()
            quiet = io.BytesIO()
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "clone")
                clone = porcelain.clone(url, path, errstream=quiet)
                with contextlib.closing(clone):
                    assert (path / "file").read_text() == "content\n" * 10_000
                    (path / "another").write_text(f"by {number}")
                    porcelain.add(clone, [path / "another"])
                    commit = porcelain.commit(clone, b"more", author=AUTHOR, committer=AUTHOR)
                    porcelain.push(clone, url, b"HEAD:" + branch, outstream=quiet, errstream=quiet)
            with pytest.raises((GitProtocolError, NotGitRepository)):
                porcelain.ls_remote(url + "nowhere")
            assert porcelain.ls_remote(url).refs[branch] == commit

        visit.together(client, 3)


class GitHTTPServer(GitServer):
    """The one of `dulwich.web`, which `python -m dulwich.web` serves."""

    scheme = "http"

    def make(self, gift: Gift) -> Any:
        from wsgiref.simple_server import make_server

        from dulwich import web

        app = web.make_wsgi_chain(self.backend())
        server = make_server(
            HOST,
            0,
            app,
            server_class=gift.to_class(web.WSGIServerLogger),
            handler_class=web.WSGIRequestHandlerLogger,
        )
        return gift.to_instance(server)


GUESTS: dict[str, Callable[[], Guest]] = {
    "dulwich": GitServer,
    "dulwich-http": GitHTTPServer,
}
