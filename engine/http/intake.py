"""What becomes of each record of a body: usage events that may be written, or the reason why not.

The checks are those of the worker (`check_usage`), made here too because the sender still listens; two
are made only here: the source is the key's, and so are the accounts. What a key says for certain is
filled in where a record leaves it out: the source, and the account of a key that has just one.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from engine.adapters.avro.usage import Fields
from engine.adapters.cloudevents import SPEC_VERSION, USAGE_TYPE, read_event
from engine.adapters.documents.usage import parse_usage, shown
from engine.gateway.normalise import Context, Unusable, normalise
from engine.http.keys import ApiKey
from engine.http.problem import Problem
from engine.http.reading import AUTO, CLOUDEVENTS, MAX_RECORDS, NATIVE, OWN_CLOUDEVENTS, Body
from engine.rating.errors import Refusal
from engine.rating.usage import check_usage

FORBIDDEN = frozenset(("account_not_of_key", "source_not_of_key"))
"""Codes of records that another key may report."""

Result = dict[str, Any]


class Decided(NamedTuple):
    """The events to be written, the result of each record in the body's order, and their format.

    `rejected_name`: of an OTLP export, what its answer calls the number of the rejected.
    """

    events: list[Fields]
    results: list[Result]
    form: str
    rejected_name: str = ""

    def count(self, status: str) -> int:
        """Return how many results have a status."""
        return sum(result["status"] == status for result in self.results)


class Said(NamedTuple):
    """What a request says of all its records: whose they are, and which provider served them."""

    account_id: str = ""
    provider: str = ""


NOTHING_SAID = Said()


class Intake:
    """Decides records. `partition` tells where an account's usage goes."""

    def __init__(self, allowed_attributes: frozenset[str], partition: Callable[[str], int]) -> None:
        self._allowed_attributes = allowed_attributes
        self._partition = partition

    def decide(self, body: Body, key: ApiKey, said: Said = NOTHING_SAID) -> Decided:
        """Return what becomes of the records of a body. Problem: too_many_records."""
        said = said._replace(account_id=said.account_id or key.only_account)
        decided = Decided([], [], body.form, body.rejected_name)
        for index, record in enumerate(body.records):
            for found in _events(record, body, key, said):
                decided.results.append({"index": index, **self._result(found, key, decided.events)})
            if len(decided.results) > MAX_RECORDS:
                raise Problem(
                    "too_many_records",
                    f"body: got more than {MAX_RECORDS} events, expected no more",
                )
        return decided

    def _result(self, found: Fields | Refusal | str, key: ApiKey, events: list[Fields]) -> Result:
        if isinstance(found, str):
            return {"status": "not_charged", "reason": found}
        refusal = found if isinstance(found, Refusal) else self._refuse(found, key)
        if refusal is not None:
            result = {
                "status": "rejected",
                "code": refusal.code,
                "explanation": refusal.explanation,
            }
            event_id = None if isinstance(found, Refusal) else found["event_id"]
            return {**result, "event_id": event_id} if event_id else result
        assert not isinstance(found, Refusal)  # noqa: S101 - refused above
        events.append(found)
        account_id = found["account_id"]
        return {
            "status": "accepted",
            "event_id": found["event_id"],
            "account_id": account_id,
            "partition": self._partition(account_id),
        }

    def _refuse(self, fields: Fields, key: ApiKey) -> Refusal | None:
        checked = check_usage(fields, self._allowed_attributes)
        if isinstance(checked, Refusal):
            return checked
        if checked.source != key.source:
            return Refusal(
                "source_not_of_key",
                f"source: got {shown(checked.source)}, expected {shown(key.source)}, the key's",
            )
        if not key.covers(checked.account_id):
            return Refusal(
                "account_not_of_key",
                f"account_id: got {shown(checked.account_id)}, expected an account of the key",
            )
        return None


def _events(record: Any, body: Body, key: ApiKey, said: Said) -> Iterator[Fields | Refusal | str]:
    """Yield the events of a record, or why it has none: a refusal, or the reason not to charge."""
    if isinstance(record, Refusal):
        yield record
    elif body.form == NATIVE:
        yield parse_usage(_completed(record, key, said.account_id))
    elif body.form == OWN_CLOUDEVENTS:
        yield _of_cloudevent(record, body.envelope, said.account_id)
    else:
        meant = {**dict(body.envelope), "data": record} if body.envelope else record
        yield from _normalised(meant, body.form, key, said)


def _completed(record: Any, key: ApiKey, account_id: str) -> Any:
    """Return native usage JSON with what the key says for certain."""
    if not isinstance(record, dict):
        return record
    known = {"source": key.source, **({"account_id": account_id} if account_id else {})}
    return {**known, **record}


def _of_cloudevent(
    record: Any, envelope: tuple[tuple[str, str], ...], account_id: str
) -> Fields | Refusal:
    event = {**dict(envelope), "data": record} if envelope else record
    if isinstance(event, dict) and "data" in event:
        event = {**event, "data": _completed_data(event["data"], account_id)}
    return read_event(event)


def _refuse_attributes(event: dict[str, Any]) -> Refusal | None:
    """Say why another meter's CloudEvent is none: its attributes are texts."""
    for name in ("id", "source", "type", "subject", "time", "datacontenttype"):
        if not isinstance(event.get(name, ""), str):
            return Refusal(
                "invalid_cloudevent", f"{name}: got {shown(event[name])}, expected a text"
            )
    return None


def _completed_data(data: Any, account_id: str) -> Any:
    if isinstance(data, dict) and account_id:
        return {"account_id": account_id, **data}
    return data


def _normalised(
    record: Any, form: str, key: ApiKey, said: Said
) -> Iterator[Fields | Refusal | str]:
    if not isinstance(record, dict):
        yield Refusal("invalid_field", f"record: got {shown(record)}, expected an object")
        return
    if form in (AUTO, CLOUDEVENTS) and "specversion" in record:
        if record.get("type") == USAGE_TYPE or record["specversion"] != SPEC_VERSION:
            yield _of_cloudevent(record, (), said.account_id)
            return
        refusal = _refuse_attributes(record)
        if refusal is not None:
            yield refusal
            return
    try:
        found = normalise(record, form, Context(source=key.source, **said._asdict()))
    except Unusable as error:
        yield Refusal(
            "unusable_record",
            f"{error.place}: got {shown(error.value)}, expected {error.expected}",
        )
        return
    if not found.events:
        yield found.not_charged or "no_usage"
    for event in found.events:
        yield parse_usage(event)
