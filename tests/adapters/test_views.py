"""Balances and alerts to bytes and back, whatever they hold."""

from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.views import (
    alert_from,
    balance_fields,
    balance_from,
    encode_alert,
    encode_balance,
)
from engine.adapters.avro.wire import Decoded, decode
from engine.rating.alert import BUCKET_ALERT, LIMIT_ALERT, SUSPENSE_ALERT, Alert
from engine.rating.balance import Balance, BucketState, LimitState, PrepaidTotal
from engine.rating.money import LIMIT_PICO
from schemas import latest, to_json
from tests.schemas.freeze import RECORDS
from tests.schemas.samples import SAMPLES

AMOUNTS = st.integers(1 - LIMIT_PICO, LIMIT_PICO - 1)
LONGS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=5)
BUCKETS = st.builds(
    BucketState,
    unit=st.sampled_from(["tokens", "money"]),
    state=st.sampled_from(["open", "closed"]),
    **dict.fromkeys(("bucket_id", "grant_id"), TEXTS),
    **dict.fromkeys("granted remaining drawn expired rolled voided burn".split(), AMOUNTS),
    valid_from=LONGS,
    valid_to=st.none() | LONGS,
    runs_out_at=st.none() | LONGS,
)
TOTALS = st.builds(
    PrepaidTotal,
    unit=st.sampled_from(["tokens", "money"]),
    buckets=LONGS,
    **dict.fromkeys("granted remaining drawn expired rolled voided".split(), AMOUNTS),
)
LIMITS = st.builds(
    LimitState,
    measure=st.sampled_from(["spend", "tokens"]),
    scope=st.sampled_from(["account", "subject"]),
    **dict.fromkeys(("limit_id", "subject", "period"), TEXTS),
    **dict.fromkeys(("used", "amount"), AMOUNTS),
    reached=st.booleans(),
    resets_at=LONGS,
)
BALANCES = st.builds(
    Balance,
    account_id=TEXTS,
    sequence=LONGS,
    currency=TEXTS,
    time_zone=TEXTS,
    tariff_id=TEXTS,
    due=AMOUNTS,
    periods=st.just(()),
    charges=LONGS,
    suspended_lines=LONGS,
    as_of=LONGS,
    buckets=st.lists(BUCKETS, max_size=2).map(tuple),
    prepaid=st.lists(TOTALS, max_size=2).map(tuple),
    limits=st.lists(LIMITS, max_size=2).map(tuple),
    limits_left_out=LONGS,
    exhausted=st.booleans(),
    limited=st.booleans(),
    limited_subjects=st.lists(TEXTS, max_size=2).map(tuple),
)
ALERTS = st.builds(
    Alert,
    kind=st.sampled_from([BUCKET_ALERT, LIMIT_ALERT, SUSPENSE_ALERT]),
    **dict.fromkeys(("alert_id", "account_id", "code", "explanation"), TEXTS),
    **dict.fromkeys(("service_period", "key"), TEXTS),
    **dict.fromkeys(("sequence", "occurred_at"), LONGS),
    until=st.none() | LONGS,
)


@given(BALANCES)
def test_a_balance_survives_its_encoding(balance: Balance) -> None:
    decoded = decode(encode_balance(balance))
    assert isinstance(decoded, Decoded)
    assert balance_from(decoded.fields) == balance


@given(ALERTS)
def test_an_alert_survives_its_encoding(alert: Alert) -> None:
    decoded = decode(encode_alert(alert))
    assert isinstance(decoded, Decoded)
    assert alert_from(decoded.fields) == alert


def test_a_balance_that_was_written_before_there_were_buckets_has_none() -> None:
    decoded = decode((RECORDS / "balance.1.bin").read_bytes())
    assert isinstance(decoded, Decoded)
    balance = balance_from(decoded.fields)
    assert (balance.buckets, balance.limits, balance.limited_subjects) == ((), (), ())
    assert not balance.exhausted
    assert not balance.limited


def test_the_json_form_of_a_balance_tells_amounts_and_times_as_people_write_them() -> None:
    balance = balance_from(SAMPLES["balance"])
    form = to_json(latest("balance").declared, balance_fields(balance))
    assert form["buckets"][0]["remaining"] == "899990"
    assert form["buckets"][0]["valid_to"] == "2026-11-30T23:00:00.000000Z"
    assert form["limits"][0]["resets_at"] == "2026-11-24T23:00:00.000000Z"
    assert form["exhausted"] is True
