"""LiteLLM's callback: one line in the proxy's config, and each answered call is in the spool.

    litellm_settings:
      callbacks: engine.gateway.litellm.tollbook

LiteLLM logs a call in the background, after its answer has left: a proxy that dies in between has
served a call that nobody will charge. So the proxy's own hooks come first here. They run before
the answer (of a stream: before its end) goes out, and put the usage into the spool. The log event
that follows is for what has no such hook: the library, and routes whose answers have another form.
A call that was taken leaves a mark on LiteLLM's record of it, so the second event does nothing.

The account comes from the key that LiteLLM checked, as the object it made of it. A request body can
name teams and users as it likes; it can not make such an object. The identity of a usage event holds
the start of the call and the provider's id of the answer, because a caller may choose the call id.

A stream whose provider never told its usage gets an estimate from LiteLLM. An estimate is not
charged: such a call becomes `unexplained`.
"""

import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from engine.gateway.errors import UsageRefused
from engine.gateway.litellm_record import (
    event_id_of,
    from_log,
    from_response,
    names_usage,
    told_usage,
)
from engine.gateway.litellm_settings import LiteLLMSettings, litellm_settings, open_publisher
from engine.gateway.normalise import Context, Unusable, normalise
from engine.rating.errors import TollbookError

if TYPE_CHECKING:
    from engine.gateway import Publisher

try:
    from litellm.integrations.custom_logger import CustomLogger
except ImportError:  # the module must be importable, and testable, without LiteLLM
    CustomLogger = object

_TAKEN = "tollbook_taken"
_TOLD = "tollbook_usage_told"
_QUIET_SECONDS = 1.0

_log = structlog.get_logger("tollbook.gateway.litellm")


class Tollbook(CustomLogger):  # type: ignore[misc]  # untyped: LiteLLM is no dependency of ours
    """A LiteLLM callback that publishes the usage of each call that was answered.

    It never raises into LiteLLM: what can not be published is logged, and the answer goes out.
    `counts` says what became of the calls: published, not_charged, no_account, unusable, lost.
    """

    def __init__(
        self,
        settings: LiteLLMSettings | None = None,
        publisher: "Callable[[LiteLLMSettings], Publisher]" = open_publisher,
    ) -> None:
        super().__init__()
        self._settings = settings or litellm_settings()
        self._open = publisher
        self._publisher: Publisher | None = None
        self._process = 0
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}
        self.counts = {"published": 0, "not_charged": 0, "no_account": 0, "unusable": 0, "lost": 0}

    def start(self) -> None:
        """Open the publisher: what an earlier process left in the spool goes out now."""
        self._obtain()

    def close(self, timeout_seconds: float = 10.0) -> bool:
        """Send what waits and close; say whether all of it went. The rest stays in the spool."""
        with self._lock:
            publisher, self._publisher = self._publisher, None
        return publisher.close(timeout_seconds) if publisher else True

    async def async_post_call_success_hook(
        self, data: Any, user_api_key_dict: Any, response: Any
    ) -> None:
        """Take the usage of an answer of the proxy before the answer leaves."""
        details = _details(data)
        if details is not None and names_usage(details, response):
            self._take(details, lambda: from_response(details, response), user_api_key_dict)

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> AsyncIterator[Any]:
        """Pass a stream on, and take its usage before its end leaves.

        A caller who hangs up has used what was sent: that is `unexplained`. A stream that the
        provider broke off is a failure, and not charged.
        """
        details = _details(request_data)
        is_broken = False
        try:
            async for chunk in response:
                yield chunk
        except Exception:
            is_broken = True
            raise
        finally:
            chunks = getattr(response, "chunks", None)
            if details is not None and chunks and not is_broken:
                self._take(details, lambda: _of_stream(details, chunks), user_api_key_dict)

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Take the usage of a call that no hook took."""
        self.log_success_event(kwargs, response_obj, start_time, end_time)

    def log_success_event(
        self,
        kwargs: Any,
        response_obj: Any,  # noqa: ARG002  # LiteLLM's signature
        start_time: Any,  # noqa: ARG002
        end_time: Any,  # noqa: ARG002
    ) -> None:
        """Take the usage of a call that no hook took."""
        if kwargs.get("standard_logging_object"):
            key = _checked_key(kwargs)
            self._take(kwargs, lambda: from_log(kwargs, kwargs.get(_TOLD)), key)

    def _take(self, details: Any, read: Callable[[], Mapping[str, Any]], key: Any) -> None:
        """Publish what a record says, once per call; never raise, whatever the record is."""
        if details.get(_TAKEN):
            return
        try:
            self._publish(details, read(), key)
        except Unusable as unusable:
            self._say("unusable", f"{unusable.place}: expected {unusable.expected}")
        except UsageRefused as refused:
            self._say("unusable", refused.refusal.code)
        except Exception as error:  # noqa: BLE001  # the caller's answer goes out, whatever we miss
            is_told = isinstance(error, TollbookError | OSError)
            self._say("lost", str(error) if is_told else type(error).__name__)

    def _publish(self, details: Any, record: Mapping[str, Any], key: Any) -> None:
        account = self._settings.account_of(key)
        if not account:
            details[_TAKEN] = True
            self._say("no_account", f"expected one of {', '.join(self._settings.accounts)}")
            return
        context = Context(
            account_id=account,
            source=self._settings.source,
            event_id=event_id_of(details, record),
            subject=str(getattr(key, "user_id", "") or ""),
        )
        normalised = normalise(record, "litellm", context)
        publisher = self._obtain()
        for event in normalised.events:
            publisher.publish(event)
            self.counts["published"] += 1
        if not normalised.events:
            self.counts["not_charged"] += 1
        details[_TAKEN] = True

    def _say(self, because: str, reason: str) -> None:
        """Count a call that was not published; log it, without its content, once a second."""
        self.counts[because] += 1
        now = time.monotonic()
        if now - self._said.get(because, -_QUIET_SECONDS) >= _QUIET_SECONDS:
            self._said[because] = now
            calls = self.counts[because]
            _log.error("usage_not_published", because=because, reason=reason, calls=calls)

    def _obtain(self) -> "Publisher":
        """Return this process's publisher. A forked worker gets one of its own."""
        with self._lock:
            if self._publisher is None or self._process != os.getpid():
                self._publisher = self._open(self._settings)
                self._process = os.getpid()
            return self._publisher


def _of_stream(details: Any, chunks: Any) -> Mapping[str, Any]:
    """Return the record of a stream from its chunks, and note whether its usage was told."""
    usage = told_usage(chunks)
    details[_TOLD] = usage is not None
    return from_response(details, chunks[-1], usage=usage, is_stream=True)


def _details(data: Any) -> Any:
    """Return LiteLLM's record of a call, the one that its log events are given as well."""
    return getattr(data.get("litellm_logging_obj"), "model_call_details", None)


def _checked_key(details: Mapping[str, Any]) -> Any:
    """Return the key that the proxy checked: an object, as no request body can hold one."""
    metadata = (details.get("litellm_params") or {}).get("metadata") or {}
    key = metadata.get("user_api_key_auth")
    return key if hasattr(key, "key_alias") else None


def __getattr__(name: str) -> Any:
    """Make `tollbook` when the config names it: an import alone opens nothing."""
    if name != "tollbook":
        raise AttributeError(name)
    callback = Tollbook()
    callback.start()
    globals()[name] = callback
    return callback
