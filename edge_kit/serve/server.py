"""Run the service until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from edge_kit.serve.app import Service, create_app
from edge_kit.serve.http import protocol
from edge_kit.serve.settings import ServeSettings, check_settings
from edge_kit.wire import pack, read_message, worker_command, worker_environment
from model_opt.errors import KitError

MAX_HEAD = 32 << 10
"""Bytes of a request's head; more is answered with 400."""


def run(settings: ServeSettings, started: Callable[[str], None], ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT, then finish what runs (``drain_seconds``), and return.

    ``started`` is called with the address once the service listens, ``ready`` when the first worker has its models
    loaded. Raises ``KitError`` before it listens for what can be refused without a model, and when the port cannot be
    taken or no worker can load its models.
    """
    check_settings(settings)
    check_loading(settings)
    listener = listen(settings.host, settings.port)
    try:
        host, port = listener.getsockname()[:2]
        started(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        failure = asyncio.run(Server(settings, ready).run_until_signal(listener))
    finally:
        listener.close()
    if failure is not None:
        raise failure


def check_loading(settings: ServeSettings) -> None:
    """Raise ``KitError`` for a pipeline, bundle, model or device that can be refused before a model is loaded.

    A process of its own looks, so that this one never imports the pipeline. One that ends without an answer refuses
    nothing: the workers will say what is wrong.
    """
    first = pack({**settings.for_worker(), "check": True})
    command, environment = worker_command(settings.worker), worker_environment(settings.worker_threads)
    done = subprocess.run(command, input=first, stdout=subprocess.PIPE, env=environment, check=False)
    reply = read_message(io.BytesIO(done.stdout))
    if reply is not None and "failed" in reply[0]:
        raise KitError(reply[0]["failed"])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; its connections send at once. Raises ``KitError`` when the port cannot be taken.

    asyncio sets TCP_NODELAY only on sockets that name their protocol, which ``socket.create_server`` does not. Without
    it an answer's body waits for the client's delayed ACK of its head: 40 ms for each request on Linux.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=512)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise KitError(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="choose another --host or --port"
        ) from error
    return listener


class Server(uvicorn.Server):
    """uvicorn with an exit code of 0 after SIGTERM, and with an end of the time for draining."""

    def __init__(self, settings: ServeSettings, ready: Callable[[], None] = lambda: None) -> None:
        self._ready = ready
        self._settings = settings
        self._app = create_app(settings)
        limits = settings.limits
        super().__init__(
            uvicorn.Config(
                self._app,
                http=protocol(limits),
                ws="none",
                lifespan="on",
                log_level="info" if settings.access_log else "warning",
                access_log=settings.access_log,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=limits.connections,
                h11_max_incomplete_event_size=MAX_HEAD,
                timeout_keep_alive=int(limits.header_seconds),
                timeout_graceful_shutdown=int(settings.drain_seconds) + 2,
            )
        )

    async def run_until_signal(self, listener: socket.socket) -> KitError | None:
        """Serve; return the error that ended the service, if one did."""
        serving = asyncio.create_task(self.serve(sockets=[listener]))
        while not (self.started or serving.done()):
            await asyncio.sleep(0.01)
        service: Service | None = getattr(self._app.state, "service", None)
        if service is None:
            await serving
            return KitError("the service did not start")
        watch = [asyncio.create_task(self._watch(service)), asyncio.create_task(self._tell_ready(service))]
        await serving
        for task in watch:
            task.cancel()
        return service.pool.failure.result() if service.pool.failure.done() else None

    async def _tell_ready(self, service: Service) -> None:
        await service.pool.first_ready.wait()
        self._ready()

    async def _watch(self, service: Service) -> None:
        """End the service when no worker can be started; refuse what still waits when the drain has taken too long."""
        while not self.should_exit:
            await asyncio.wait({service.pool.failure}, timeout=0.1)
            self.should_exit = self.should_exit or service.pool.failure.done()
        await asyncio.sleep(0.0 if service.pool.failure.done() else self._settings.drain_seconds)
        service.pool.refuse_all()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM; uvicorn's own would send them to this process again at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {name: signal.signal(name, self._on_signal) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)
