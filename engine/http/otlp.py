"""What a client of OTLP sends and wants to hear: an export of spans or log records, and its answer.

Such a client (a Collector, an SDK) reads no results, and of a long answer only the beginning. It logs
what `partialSuccess` tells (opentelemetry-proto, ExportTracePartialSuccess).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.adapters.documents.usage import shown
from engine.gateway.normalise import Unusable
from engine.gateway.normalise.otel import exported, is_export
from engine.gateway.normalise.record import Part
from engine.rating.errors import Refusal

_REASONS = 3
"""How many are told."""

_LOGS = "logs"


def rejected_name(data: Any) -> str:
    """Return what the answer to an export calls the number of the rejected; empty if it is no export."""
    if not isinstance(data, dict) or not is_export(data):
        return ""
    is_of_logs = any(_LOGS in name.lower() for name in data)
    return "rejectedLogRecords" if is_of_logs else "rejectedSpans"


def items_of(export: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the spans and log records of an export, and a Refusal where something else is."""
    for name, held in export.items():
        for resource in held if isinstance(held, list) else [held]:
            try:
                for item in exported(Part({name: [resource]})):
                    yield item.data
            except Unusable as error:
                explanation = f"{name}: got {shown(error.value)} in it, expected {error.expected}"
                yield Refusal("invalid_field", explanation)


def otlp_answer(
    name: str, counts: Mapping[str, int], results: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the answer to an export: what was rejected and why, beside counts that we add.

    `name` is the rejected number's.
    """
    if not counts["rejected"]:
        return dict(counts)
    reasons = dict.fromkeys(
        f"{result['code']}: {result['explanation']}"
        for result in results
        if result["status"] == "rejected"
    )
    told = "; ".join(list(reasons)[:_REASONS])
    more = f"; and {len(reasons) - _REASONS} other reasons" if len(reasons) > _REASONS else ""
    partial = {name: counts["rejected"], "errorMessage": told + more}
    return {**counts, "partialSuccess": partial}
