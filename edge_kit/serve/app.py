"""The routes of the service, as an ASGI application. It holds no picture: bodies go to a worker as they came."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from edge_kit import __version__
from edge_kit.serve.errors import RequestError
from edge_kit.serve.fetch import fetch
from edge_kit.serve.http import Account, Buffered, read_body
from edge_kit.serve.metrics import Metrics
from edge_kit.serve.openapi import REQUEST_BODY, RESPONSES
from edge_kit.serve.pages import static_page
from edge_kit.serve.pool import Pool, Reply
from edge_kit.serve.schemas import NoResult, envelope, log_id_in
from edge_kit.serve.settings import ServeSettings


@dataclass(frozen=True)
class Service:
    """The parts that routes share."""

    settings: ServeSettings
    pool: Pool
    metrics: Metrics
    buffered: Buffered


def create_app(settings: ServeSettings) -> FastAPI:
    """Return the application; its workers start and end with it. ``app.state.service`` holds its parts then."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        metrics = Metrics()
        pool = Pool(settings, metrics)
        app.state.service = Service(settings, pool, metrics, Buffered(settings.limits.buffered_bytes))
        pool.start()
        try:
            yield
        finally:
            await pool.close()

    app = FastAPI(title="edge-kit", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    _add_reading(app)
    _add_state(app)
    _add_pages(app)
    _add_errors(app)
    return app


def _add_reading(app: FastAPI) -> None:
    @app.post(
        "/ocr", operation_id="infer", summary="Read text", responses=RESPONSES, openapi_extra=REQUEST_BODY, tags=["OCR"]
    )
    async def infer(request: Request) -> Response:
        """Read the text of an image, PDF or TIFF. The kind of body decides the schema of the answer."""
        service: Service = app.state.service
        begin = asyncio.get_running_loop().time()
        status = 500
        try:
            response = await _infer(service, request)
            status = response.status_code
        except RequestError as error:
            status = error.status
            raise
        finally:
            service.metrics.requests.labels(str(status)).inc()
            service.metrics.seconds.observe(asyncio.get_running_loop().time() - begin)
            service.metrics.buffered.set(service.buffered.held)
        return response


async def _infer(service: Service, request: Request) -> Response:
    check_key(service.settings.api_key, request)
    with service.buffered.account() as account:
        body = await read_body(request, service.settings.limits, account)
        try:
            reply = await _while_connected(request, _ask(service, request, body, account))
        except RequestError as error:
            return refusal(error, log_id_in(body))
    header = reply.header
    service.metrics.add_work(header.get("pages", 0), header.get("seconds", {}))
    return Response(reply.body, header["status"], _headers(header), "application/json")


def _headers(header: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of a worker's answer: the seconds of each step, and the fields that meant nothing."""
    headers = {}
    if header["seconds"]:
        timing = ", ".join(f"{step};dur={1000 * s:.1f}" for step, s in header["seconds"].items())
        headers["Server-Timing"] = timing
    names = header.get("ignored", [])
    if names:
        shown = [quote(name[:_SHOWN_LENGTH], safe=".", errors="replace") for name in names[:_SHOWN_NAMES]]
        headers["X-Ignored-Fields"] = ", ".join([*shown, "..."] if len(names) > _SHOWN_NAMES else shown)
    return headers


_SHOWN_NAMES, _SHOWN_LENGTH = 20, 64
"""How many ignored fields are named, and how much of each."""


async def _ask(service: Service, request: Request, body: bytes, account: Account) -> Reply:
    """Have a worker answer; what it wants fetched is fetched here, so that no worker waits for the network."""
    limits = service.settings.limits
    deadline = asyncio.get_running_loop().time() + limits.seconds
    header: Mapping[str, Any] = {
        "content_type": request.headers.get("content-type", ""),
        "query": request.url.query,
    }
    reply = await service.pool.answer(header, body, deadline)
    if "fetch" in reply.header:
        data = await fetch(reply.header["fetch"], service.settings.url_hosts, limits.body_bytes)
        account.add(len(data))
        again = {"resume": reply.header["resume"], "log_id": reply.header["log_id"]}
        reply = await service.pool.answer(again, data, deadline)
    return Reply({"seconds": {}, **reply.header}, reply.body)


async def _while_connected(request: Request, answering: Coroutine[Any, Any, Reply]) -> Reply:
    """Await an answer; a client that leaves takes its request out of the queue."""
    answer = asyncio.create_task(answering)
    left = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({answer, left}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise RequestError(499, "the client left")
        return await answer
    finally:
        answer.cancel()
        left.cancel()
        await asyncio.gather(answer, left, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def check_key(expected: str | None, request: Request) -> None:
    """Raise a 401 unless the request carries the key, as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``."""
    if expected is None:
        return
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    given = bearer.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    # Digests have one length: neither the time nor an early end tells anything of the key.
    if not hmac.compare_digest(*(hashlib.sha256(key.encode()).digest() for key in (given, expected))):
        raise RequestError(401, "the API key is missing or wrong")


def _add_state(app: FastAPI) -> None:
    @app.get("/health", operation_id="checkHealth", summary="Whether the service runs", tags=["State"])
    async def health() -> NoResult:
        """Answer at once, whatever the workers do."""
        return NoResult(logId=str(uuid.uuid4()), errorCode=0, errorMsg="Healthy")

    @app.get("/ready", summary="Whether a worker is ready", responses={503: {"model": NoResult}}, tags=["State"])
    async def ready() -> NoResult:
        """Answer 503 until a worker has its models loaded."""
        service: Service = app.state.service
        if not service.pool.ready_workers:
            raise RequestError(503, "no worker is ready", retry_after=1)
        return NoResult(logId=str(uuid.uuid4()), errorCode=0, errorMsg="Ready")

    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response, tags=["State"])
    async def metrics(request: Request) -> Response:
        """Return the counters in Prometheus' text format."""
        service: Service = app.state.service
        check_key(service.settings.api_key, request)
        return Response(service.metrics.text(), media_type=service.metrics.content_type)


def _add_pages(app: FastAPI) -> None:
    for path, name in (("/", "index.html"), ("/docs", "docs.html")):
        content, headers = static_page(name)

        def page(content: bytes = content, headers: dict[str, str] = headers) -> Response:
            return Response(content, headers=headers, media_type="text/html")

        app.add_api_route(path, _without_arguments(page), include_in_schema=False, response_class=Response)


def _without_arguments(page: Any) -> Any:
    async def route() -> Response:
        response: Response = page()
        return response

    return route


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> Response:
        return refusal(error)

    @app.exception_handler(HTTPException)
    async def not_found(request: Request, error: HTTPException) -> Response:
        content = envelope(str(uuid.uuid4()), error.status_code, str(error.detail))
        return JSONResponse(content, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return JSONResponse(envelope(str(uuid.uuid4()), 500, "Internal server error"), 500)


def refusal(error: RequestError, log_id: str | None = None) -> Response:
    """Return the answer to a request that got no result. A body that may not be read to its end ends the connection."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status in (401, 408, 413):
        headers["Connection"] = "close"
    return JSONResponse(envelope(log_id or str(uuid.uuid4()), error.status, error.what), error.status, headers)
