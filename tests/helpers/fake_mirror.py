"""A web server on 127.0.0.1 that serves one file, well or in one of the ways in which real servers fail."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self, TypeAlias


class FakeMirror:
    """Serves `contents` under every path: each request by the next of `answers`, the last of them for all further requests."""

    def __init__(self, contents: bytes, *answers: "Answer") -> None:
        self.contents = contents
        self.answers = list(answers or (serve,))
        self.paths: list[str] = []
        """Of each request."""
        self.released = threading.Event()
        """Ends every stall."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.mirror = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def base(self) -> str:
        """The address of the folder that holds the file."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def url(self) -> str:
        return f"{self.base}digits.gz"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing joins them, and none outlives its test
    mirror: FakeMirror


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        mirror = self.server.mirror
        mirror.paths.append(self.path)
        answer = mirror.answers.pop(0) if len(mirror.answers) > 1 else mirror.answers[0]
        answer(self, mirror)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""

    def begin(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def send(self, body: bytes) -> None:
        self.wfile.write(body)


Answer: TypeAlias = Callable[[_Handler, FakeMirror], None]


def _begin(handler: _Handler, mirror: FakeMirror) -> bytes:
    """Send the header that a well-behaved server sends, and return the body that it promises."""
    handler.begin(200, Content_Length=len(mirror.contents))
    return mirror.contents


def serve(handler: _Handler, mirror: FakeMirror) -> None:
    handler.send(_begin(handler, mirror))


def break_off(handler: _Handler, mirror: FakeMirror) -> None:
    """Promise the whole, send half of it, hang up."""
    body = _begin(handler, mirror)
    handler.send(body[: len(body) // 2])


def stall(handler: _Handler, mirror: FakeMirror) -> None:
    """Promise the whole, send half of it, then nothing while the connection stays open."""
    body = _begin(handler, mirror)
    handler.send(body[: len(body) // 2])
    mirror.released.wait(10)


def serve_marked_as_gzip(handler: _Handler, mirror: FakeMirror) -> None:
    """Say of a .gz file, as some servers do, that it is encoded by gzip."""
    handler.begin(200, Content_Length=len(mirror.contents), Content_Encoding="gzip")
    handler.send(mirror.contents)


def serve_without_length(handler: _Handler, mirror: FakeMirror) -> None:
    handler.begin(200)
    handler.send(mirror.contents)


def serve_other_bytes(handler: _Handler, mirror: FakeMirror) -> None:
    body = b"<html>please log in to this network</html>"
    handler.begin(200, Content_Length=len(body))
    handler.send(body)


def hang_up(handler: _Handler, mirror: FakeMirror) -> None:
    """Close the connection without a word."""


def answer_status(status: int) -> Answer:
    def answer(handler: _Handler, mirror: FakeMirror) -> None:
        handler.begin(status, Content_Length=0)

    return answer


def serve_slowly(seconds: float) -> Answer:
    def answer(handler: _Handler, mirror: FakeMirror) -> None:
        body = _begin(handler, mirror)
        mirror.released.wait(seconds)
        handler.send(body)

    return answer
