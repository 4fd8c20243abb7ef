"""LiteLLM's callback: one line in the proxy's config, and each answered call is in the spool.

    litellm_settings:
      callbacks: engine.gateway.litellm.tollbook

LiteLLM logs a call in the background, after its answer has left: a proxy that dies in between has
served a call that nobody will charge. So the proxy's own hooks come first here. They run before
the answer (of a stream: before its end) goes out, and put what it says of usage into a spool, from
which a thread normalises and publishes it. The log event
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

from engine.gateway.errors import PublisherClosed
from engine.gateway.litellm_record import (
    event_id_of,
    from_log,
    from_response,
    names_usage,
    printable,
    told_usage,
)
from engine.gateway.litellm_settings import LiteLLMSettings, litellm_settings, open_records
from engine.gateway.normalise import Context
from engine.gateway.tally import Tally
from engine.rating.errors import TollbookError

if TYPE_CHECKING:
    from engine.gateway.record_publisher import RecordPublisher

try:
    from litellm.integrations.custom_logger import CustomLogger
except ImportError:  # the module must be importable, and testable, without LiteLLM
    CustomLogger = object

_TAKEN = "tollbook_taken"
_TOLD = "tollbook_usage_told"
_FAULT_SECONDS = 1.0


class Tollbook(CustomLogger):  # type: ignore[misc]  # untyped: LiteLLM is no dependency of ours
    """A LiteLLM callback that publishes the usage of each call that was answered.

    It never raises into LiteLLM: what can not be published is logged, and the answer goes out.
    `tally` says what became of the calls.
    """

    def __init__(
        self,
        settings: LiteLLMSettings | None = None,
        records: "Callable[[LiteLLMSettings, Tally], RecordPublisher]" = open_records,
    ) -> None:
        super().__init__()
        self._settings = settings or litellm_settings()
        self.tally = Tally()
        self._open = records
        self._records: RecordPublisher | None = None
        self._process = 0
        self._lock = threading.Lock()
        self._fault = ""
        self._next_try = 0.0

    def start(self) -> None:
        """Open the publisher: what an earlier process left in the spool goes out now."""
        self._obtain()

    def close(self, timeout_seconds: float = 10.0) -> bool:
        """Send what waits and close; say whether all of it went. The rest stays in the spool."""
        with self._lock:
            records, self._records = self._records, None
        return records is None or records.close(timeout_seconds)

    async def async_post_call_success_hook(
        self, data: Any, user_api_key_dict: Any, response: Any
    ) -> None:
        """Take the usage of an answer of the proxy before the answer leaves."""
        try:
            details = _details(data)
            if details is not None and names_usage(details, response):
                self._take(details, lambda: from_response(details, response), user_api_key_dict)
        except Exception as error:  # noqa: BLE001  # the answer goes out, whatever we miss
            self._lost(error)

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> AsyncIterator[Any]:
        """Pass a stream on, and take its usage before its end leaves.

        A caller who hangs up has used what was sent: that is `unexplained`. A stream that the
        provider broke off is a failure, and not charged.
        """
        is_broken = False
        try:
            async for chunk in response:
                yield chunk
        except Exception:
            is_broken = True
            raise
        finally:
            if not is_broken:
                self._take_stream(request_data, response, user_api_key_dict)

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
        try:
            if kwargs.get("standard_logging_object"):
                key = _checked_key(kwargs)
                self._take(kwargs, lambda: from_log(kwargs, kwargs.get(_TOLD)), key)
        except Exception as error:  # noqa: BLE001  # LiteLLM's other callbacks have their turn
            self._lost(error)

    def _take_stream(self, data: Any, response: Any, key: Any) -> None:
        try:
            details, chunks = _details(data), getattr(response, "chunks", None)
            if details is not None and chunks:
                self._take(details, lambda: _of_stream(details, chunks), key)
        except Exception as error:  # noqa: BLE001  # the caller has the answer, whatever we miss
            self._lost(error)

    def _take(self, details: Any, read: Callable[[], Mapping[str, Any]], key: Any) -> None:
        """Take what a record says, once per call."""
        if not details.get(_TAKEN):
            self._publish(details, read(), key)
            details[_TAKEN] = True

    def _lost(self, error: Exception) -> None:
        is_told = isinstance(error, TollbookError | OSError)
        self.tally.not_published("lost", str(error) if is_told else type(error).__name__)

    def _publish(self, details: Any, record: Mapping[str, Any], key: Any) -> None:
        account = self._settings.account_of(key)
        if not account:
            expected = f"expected one of {', '.join(self._settings.accounts)}"
            self.tally.not_published("no_account", expected)
            return
        context = Context(
            account_id=account,
            source=self._settings.source,
            event_id=event_id_of(details, record),
            subject=printable(getattr(key, "user_id", "")),
        )
        self._obtain().publish("litellm", record, context)

    def _obtain(self) -> "RecordPublisher":
        """Return this process's publisher of records. A forked worker gets one of its own.

        While it can not be opened, this is tried once a second, and not for each request.
        """
        if self._records is None or self._process != os.getpid():
            with self._lock:
                if self._records is None or self._process != os.getpid():
                    if time.monotonic() < self._next_try:
                        raise PublisherClosed(self._fault)
                    try:
                        self._records = self._open(self._settings, self.tally)
                    except Exception as error:
                        self._fault = str(error)
                        self._next_try = time.monotonic() + _FAULT_SECONDS
                        raise
                    self._process = os.getpid()
        return self._records


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
