"""Small models, archives and a loopback HTTP server with faults, for the tests of the zoo."""

from __future__ import annotations

import io
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from model_opt.fs import sha256_bytes
from model_opt.paddle_model import write_model
from model_opt.program import Block, Model, Op, Program, Var, VarType, attr_of

CHARACTERS = tuple("abcdefgh")
OUTPUTS = {"det": (-1, 1, -1, -1), "rec": (-1, -1, len(CHARACTERS) + 2), "cls": (-1, 2)}
FLOAT = 5


def write_sample(folder: Path, kind: str = "det", *, seed: int = 0, output=None, input_shape=(-1, 3, -1, -1)) -> Path:
    """Write a model of ``kind`` that Paddle's format knows: one parameter, one operator."""
    folder.mkdir(parents=True, exist_ok=True)
    weight = np.random.default_rng(seed).normal(size=(16, 8)).astype(np.float32)
    variables = (
        Var("feed", kind=VarType.FEED_MINIBATCH, persistable=True),
        Var("fetch", kind=VarType.FETCH_LIST, persistable=True),
        Var("x", data_type=FLOAT, dims=tuple(input_shape), lod_level=0),
        Var("w", data_type=FLOAT, dims=weight.shape, lod_level=0, persistable=True),
        Var("y", data_type=FLOAT, dims=tuple(output or OUTPUTS[kind]), lod_level=0),
    )
    ops = (
        Op("feed", {"X": ("feed",)}, {"Out": ("x",)}, {"col": attr_of(0)}),
        Op("matmul_v2", {"X": ("x",), "Y": ("w",)}, {"Out": ("y",)}),
        Op("fetch", {"X": ("y",)}, {"Out": ("fetch",)}, {"col": attr_of(0)}),
    )
    program = Program((Block(0, -1, variables, ops),), version=0)
    write_model(Model(program, {"w": weight}), folder / "inference.pdmodel", folder / "inference.pdiparams")
    return folder


def write_dictionary(path: Path, characters=CHARACTERS) -> Path:
    path.write_text("".join(f"{character}\n" for character in characters), encoding="utf-8")
    return path


def model_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def sums_of(folder: Path) -> dict[str, str]:
    return {name: sha256_bytes(data) for name, data in model_bytes(folder).items()}


def tar_bytes(files: Mapping[str, bytes], *, top: str = "", mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"{top}{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tar_members(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar of members as they are given, right or wrong."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info, data in members:
            info.size = len(data) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return buffer.getvalue()


@dataclass
class Page:
    """What the server does at one address; ``cuts`` are the bytes after which the first answers break off."""

    body: bytes = b""
    etag: str | None = '"one"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    location: str | None = None
    length: bool = True
    stall: float = 0.0
    pace: float = 0.0
    content_range: str | None = None
    range_cap: int | None = None
    content_type: str = "application/octet-stream"


class Server:
    """Pages by path, and every request that came: ``(path, Range header)``."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, str | None]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}{path}"

    def add(self, path: str, body: bytes, **options) -> str:
        self.pages[path] = Page(body, **options)
        return self.url(path)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args) -> None:
            """Keep the terminal quiet."""

        def do_GET(self) -> None:
            server.requests.append((self.path, self.headers.get("Range")))
            page = server.pages.get(self.path)
            if page is None:
                self._bare(404)
            elif page.statuses:
                self._bare(page.statuses.pop(0))
            elif page.location is not None:
                self._bare(302, Location=page.location)
            else:
                self._send(page)

        def _bare(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def _send(self, page: Page) -> None:
            time.sleep(page.stall)
            start = self._start(page)
            if start > 0 and start >= len(page.body):
                self._bare(416)
                return
            body = page.body[start : start + page.range_cap if start and page.range_cap else None]
            self.send_response(206 if start else 200)
            if start:
                last = start + len(body) - 1
                self.send_header("Content-Range", page.content_range or f"bytes {start}-{last}/{len(page.body)}")
            self.send_header("Content-Type", page.content_type)
            if page.etag is not None:
                self.send_header("ETag", page.etag)
            if page.length:
                self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            cut = page.cuts.pop(0) if page.cuts else len(body)
            self._write(body[:cut], page.pace)
            self.close_connection = True

        def _start(self, page: Page) -> int:
            asked = self.headers.get("Range")
            known = self.headers.get("If-Range")
            if not page.ranges or asked is None or (known is not None and known != page.etag):
                return 0
            return int(asked.removeprefix("bytes=").rstrip("-"))

        def _write(self, body: bytes, pace: float) -> None:
            step = 1024 if pace else max(len(body), 1)
            try:
                for at in range(0, len(body), step):
                    self.wfile.write(body[at : at + step])
                    self.wfile.flush()
                    time.sleep(pace)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client was killed or had enough: some tests want that

    return Handler
