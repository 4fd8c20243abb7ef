"""From raw records of gateways and providers to usage events: pure functions, no clock, no network.

A record is one JSON object: the body of a provider's answer, or what a gateway logs of a call. Each
becomes zero or more usage events in native usage JSON, whose kinds are disjoint (`tokens`); what does
not add up is kind `unexplained`, and what can not be understood is `Unusable`. What becomes of every
field stands in docs/reference/gateway-formats.md.

>>> body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1764000000,
...         "model": "gpt-4o", "usage": {"prompt_tokens": 9, "completion_tokens": 2,
...         "total_tokens": 11, "prompt_tokens_details": {"cached_tokens": 4}}}
>>> normalise(body, context=Context(account_id="acme")).events[0]["quantities"]
{'input': 5, 'cache_read': 4, 'output': 2}
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from engine.gateway.normalise import (
    access_log,
    anthropic,
    bedrock,
    cohere,
    compatible,
    gemini,
    litellm,
    metered,
    openai,
    openai_media,
    otel,
)
from engine.gateway.normalise.call import ERROR_RESPONSE, Call, Form, check_event, usage_event
from engine.gateway.normalise.record import Context, Normalised, Part, Unusable

__all__ = ["FORMATS", "Context", "Normalised", "Unusable", "normalise"]

_FORMS: Mapping[str, Form] = {
    form.name: form
    for form in chain(
        openai.FORMS,
        openai_media.FORMS,
        compatible.FORMS,
        anthropic.FORMS,
        gemini.FORMS,
        bedrock.FORMS,
        cohere.FORMS,
        litellm.FORMS,
        otel.FORMS,
        access_log.FORMS,
        metered.FORMS,
    )
}

FORMATS: tuple[str, ...] = tuple(_FORMS)
"""The names of the formats, without ``auto``."""

_NO_CONTEXT = Context()


def normalise(
    record: Mapping[str, Any], form: str = "auto", context: Context = _NO_CONTEXT
) -> Normalised:
    """Return the usage events of a record. `form` is one of FORMATS, or ``auto`` to find it.

    Raises Unusable for a record that can not be understood, that lacks what neither it nor the
    context says, or, with ``auto``, that fits several formats or none.
    """
    if not isinstance(record, Mapping):
        raise Unusable("record", record, "a JSON object")
    part = Part(record)
    found = _detected(part) if form == "auto" else _asked_for(part, form)
    if found is None:
        return Normalised((), ERROR_RESPONSE)
    if found.name == "usage":
        event = metered.in_context(part, context)
        check_event(event)
        return Normalised((event,))
    calls = found.read(part, context)
    if isinstance(calls, str):
        return Normalised((), calls)
    calls = _told_apart(calls, context)
    return Normalised(tuple(usage_event(call, found.name, context) for call in calls))


def _told_apart(calls: tuple[Call, ...], context: Context) -> tuple[Call, ...]:
    """Return calls that share an id, as the context gives one for a record, with their places."""
    if not context.event_id and not context.spare_event_id:
        return calls
    return tuple(
        call._replace(suffix=call.suffix or f"/{place}")
        if place and (context.event_id or not call.event_id)
        else call
        for place, call in enumerate(calls)
    )


def _detected(record: Part) -> Form | None:
    """Return the one format whose marks a record bears; None if it bears none but is an error."""
    fitting = [form for form in _FORMS.values() if form.fits(record)]
    if len(fitting) == 1:
        return fitting[0]
    if openai.is_error(record):
        return None
    if not fitting:
        raise Unusable("record", _described(record), f"the marks of one of {', '.join(FORMATS)}")
    names = ", ".join(form.name for form in fitting)
    raise Unusable("record", _described(record), f"one format; it fits {names}: name one")


def _asked_for(record: Part, name: str) -> Form | None:
    """Return the format of a name; None if the record is no record of it but an error."""
    form = _FORMS.get(name)
    if form is None:
        raise Unusable("form", name, f"auto or one of {', '.join(FORMATS)}")
    if form.accepts(record):
        return form
    if openai.is_error(record):
        return None
    raise Unusable("record", _described(record), f"a record of format {name}")


def _described(record: Part) -> str:
    """Return what a person recognises a record by: the names of its fields."""
    names = ", ".join(str(name) for name in list(record.data)[:12])
    return f"fields {names}" if names else "no fields"
