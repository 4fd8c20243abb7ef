"""The application: routes, and in what order a request is looked at.

Who asks, then whether it may ask now, then how large the body is, then what it says; the cheaper check
first. Reading and deciding a body happens in a thread, so that a large one does not keep the balance of
another request waiting.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.http import openapi
from engine.http.balances import BalanceBook, answer
from engine.http.intake import FORBIDDEN, Decided, Intake, Said
from engine.http.keys import ApiKey
from engine.http.metrics import HttpTelemetry
from engine.http.otlp import otlp_answer
from engine.http.ports import NotAcknowledged, SinkFull, UsageSink
from engine.http.problem import Problem, respond
from engine.http.rate import TokenBucket
from engine.http.reading import REJECTED, choice, decompress, read_body
from engine.http.rejected import RejectedLog
from engine.http.room import RETRY_SECONDS, Room
from engine.rating.usage import MAX_TEXT

_BURST_SECONDS = 2
_READERS = 2
_MICROSECONDS = 1_000_000
_log = structlog.get_logger()


class Limits(NamedTuple):
    """What one process takes.

    `in_flight`: usage requests at once, `held_bytes` of their bodies, half of each for one key;
    `body_seconds` to send a body; `acknowledge_seconds`: the longest wait for a sink, which gives up
    before that by itself.
    """

    body_bytes: int = 4 * 1024 * 1024
    body_seconds: float = 10.0
    in_flight: int = 512
    held_bytes: int = 256 * 1024 * 1024
    acknowledge_seconds: float = 25.0


class Keys(Protocol):
    """Finds keys."""

    def find(self, text: str) -> ApiKey | None:
        """Return the key that a text is, or None."""


class Api:
    """The endpoints, and what they share. `now`: us UTC, for balances."""

    def __init__(
        self,
        keys: Keys,
        sink: UsageSink,
        book: BalanceBook,
        telemetry: HttpTelemetry,
        *,
        allowed_attributes: frozenset[str],
        limits: Limits = Limits(),  # noqa: B008 - a constant
        now: Callable[[], int] = lambda: round(time.time() * _MICROSECONDS),
    ) -> None:
        self._keys = keys
        self._sink = sink
        self._book = book
        self._telemetry = telemetry
        self._intake = Intake(allowed_attributes, sink.partition)
        self._limits = limits
        self._now = now
        self._buckets: dict[tuple[str, str, int], TokenBucket] = {}
        self._room = Room(limits.in_flight, limits.held_bytes)
        self._rejected = RejectedLog()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="http-reader")

    def application(self) -> Starlette:
        """Return the ASGI application."""
        application = Starlette(
            routes=[
                Route("/v1/usage", self._told("usage", self._usage), methods=["POST"]),
                Route(
                    "/v1/accounts/{account_id:path}/balance",
                    self._told("balance", self._balance),
                    methods=["GET"],
                ),
                Route("/health", self._told("health", self._health), methods=["GET"]),
                Route("/openapi.json", self._told("openapi", self._openapi), methods=["GET"]),
            ],
            exception_handlers={HTTPException: _of_starlette},
        )
        application.router.redirect_slashes = False
        return application

    def tell_rejected(self) -> None:
        """Log what was rejected of those who asked for it since the last call. From any thread."""
        self._rejected.tell()

    def _told(
        self, route: str, endpoint: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that answers whatever goes wrong, and is counted."""

        async def told(request: Request) -> Response:
            began_at = time.perf_counter()
            try:
                response = await endpoint(request)
            except Problem as problem:
                response = respond(problem)
            except Exception as error:  # noqa: BLE001 - the client is told, and so is the log
                _log.error("http_request_failed", route=route, reason=repr(error))
                response = respond(Problem("internal_error", "the request could not be answered"))
            seconds = time.perf_counter() - began_at
            self._telemetry.answered(route, response.status_code, seconds)
            return response

        return told

    async def _usage(self, request: Request) -> Response:
        key = self._authenticated(request)
        bucket = self._admitted(key, "usage")
        said = _said(request, key)
        is_logged = bool(choice("rejected", REJECTED, request.headers, request.query_params))
        bucket.take(1)  # whatever is in the body: to look costs something
        with self._room.entered(key.key_id) as take_bytes:
            data = await self._body(request, take_bytes)
            decided = await self._decided(request, data, key, said)
            bucket.take(max(0, len(decided.results) - 1))
            await self._written(decided)
        if is_logged:
            self._rejected.add(key.source, decided.form, decided.results)
        return self._outcome(decided, is_logged=is_logged)

    async def _decided(self, request: Request, data: bytes, key: ApiKey, said: Said) -> Decided:
        most = self._limits.body_bytes
        headers, query = dict(request.headers), dict(request.query_params)

        def decide() -> Decided:
            plain = decompress(data, headers.get("content-encoding", "").strip().lower(), most)
            return self._intake.decide(read_body(plain, headers, query), key, said)

        return await asyncio.get_running_loop().run_in_executor(self._readers, decide)

    async def _body(self, request: Request, take_bytes: Callable[[int], None]) -> bytes:
        most = self._limits.body_bytes
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > most:
            raise _too_large(most)
        data = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for chunk in request.stream():
                    take_bytes(len(chunk))
                    data += chunk
                    if len(data) > most:
                        raise _too_large(most)
        except TimeoutError as error:
            raise Problem(
                "body_too_slow",
                f"body: got {len(data)} bytes in {self._limits.body_seconds} s, expected all of it",
                {"Connection": "close"},
            ) from error
        except ClientDisconnect as error:  # nobody hears the answer
            raise Problem("invalid_body", "body: the connection ended before it did") from error
        return bytes(data)

    async def _written(self, decided: Decided) -> None:
        if not decided.events:
            return
        try:
            await self._acknowledged(self._sink.send(decided.events))
        except SinkFull as error:
            raise _later("busy", str(error), RETRY_SECONDS) from error
        except NotAcknowledged as error:
            raise _later(
                "not_acknowledged",
                f"Kafka did not acknowledge all events ({error}); send the same again, that is safe",
                RETRY_SECONDS,
            ) from error

    async def _acknowledged(self, writing: Future[None]) -> None:
        """Wait for events to be written, but not for ever. NotAcknowledged."""
        waiting = asyncio.wrap_future(writing)
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        seconds = self._limits.acknowledge_seconds
        await asyncio.wait({waiting}, timeout=seconds)  # if this ends, the writing goes on
        if not waiting.done():
            raise NotAcknowledged(f"nothing was heard of it in {seconds} s")
        waiting.result()

    def _outcome(self, decided: Decided, *, is_logged: bool) -> Response:
        counts = {name: decided.count(name) for name in ("accepted", "rejected", "not_charged")}
        self._telemetry.recorded(**counts)
        outcome: dict[str, Any] = {**counts, "results": decided.results}
        if decided.rejected_name:
            outcome = otlp_answer(decided.rejected_name, counts, decided.results)
        if is_logged:
            return JSONResponse(outcome, 202 if counts["accepted"] else 200)
        if not decided.results or counts["rejected"] < len(decided.results):
            return JSONResponse(outcome, 202)
        is_forbidden = all(result["code"] in FORBIDDEN for result in decided.results)
        raise Problem(
            "records_forbidden" if is_forbidden else "records_rejected",
            f"no record was accepted, the first because of {decided.results[0]['explanation']}",
            None,
            **outcome,
        )

    async def _balance(self, request: Request) -> Response:
        key = self._authenticated(request)
        self._admitted(key, "balance").take(1)
        account_id = request.path_params["account_id"]
        if not key.covers(account_id):
            raise Problem("account_not_of_key", "account: got one, expected an account of the key")
        age_seconds = self._book.age_seconds
        if age_seconds is None:
            raise _later("balances_not_read", "balances are being read", RETRY_SECONDS)
        kept = self._book.find(account_id)
        found = None if kept is None else answer(kept, age_seconds, self._now())
        if found is None:
            raise Problem("account_unknown", "account: got one of which there is no balance yet")
        return JSONResponse(found, headers={"Cache-Control": "no-store"})

    async def _health(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        health = self._telemetry.health()
        if not health.is_ready:
            raise Problem("unhealthy", f"the process is {health.status}")
        return JSONResponse({"status": health.status})

    async def _openapi(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        return JSONResponse(openapi.DOCUMENT)

    def _authenticated(self, request: Request) -> ApiKey:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        text = request.headers.get("tollbook-key", "") or (
            text.strip() if scheme.lower() == "bearer" else ""
        )
        challenge = {"WWW-Authenticate": 'Bearer realm="tollbook"'}
        if not text:
            raise Problem(
                "key_missing",
                "authorization: got none, expected `Bearer` and an API key",
                challenge,
            )
        key = self._keys.find(text)
        if key is None:
            raise Problem("key_unknown", "authorization: got a key that is not known", challenge)
        return key

    def _admitted(self, key: ApiKey, what: str) -> TokenBucket:
        rate = key.events_per_second
        bucket = self._buckets.get((key.key_id, what, rate))
        if bucket is None:
            bucket = TokenBucket(rate, rate * _BURST_SECONDS)
            self._buckets[key.key_id, what, rate] = bucket
        wait_seconds = bucket.wait_seconds()
        if wait_seconds:
            raise _later("rate_limited", f"the key may send {rate} events per second", wait_seconds)
        return bucket


def _said(request: Request, key: ApiKey) -> Said:
    """Return what the query says of all records. Problem: invalid_parameter, account_not_of_key."""
    said = Said(**{name: request.query_params.get(name, "") for name in Said._fields})
    for name, text in said._asdict().items():
        if len(text) > MAX_TEXT:
            raise Problem("invalid_parameter", f"{name}: expected {MAX_TEXT} characters at most")
    if said.account_id and not key.covers(said.account_id):
        raise Problem("account_not_of_key", "account_id: got one, expected an account of the key")
    return said


def _later(code: str, detail: str, seconds: float) -> Problem:
    return Problem(code, detail, {"Retry-After": str(max(1, -int(-seconds // 1)))})


def _too_large(most: int) -> Problem:
    return Problem("body_too_large", f"body: got more, expected {most} bytes at most")


async def _of_starlette(request: Request, error: Exception) -> Response:
    """Answer what the router found wrong."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
    code = "method_not_allowed" if error.status_code == 405 else "not_found"  # noqa: PLR2004 - HTTP's
    what = f"{request.method} {request.url.path[:80]}"
    return respond(Problem(code, f"{what}: no such endpoint", error.headers))
