"""Values that the samples of several records share."""

from engine.adapters.avro.wire import to_decimal
from engine.rating.money import PICO
from tests.rating.scenario import at

DIGEST = bytes(range(32))
POSITION = {"topic": "usage", "partition": 3, "offset": 99_120, "index": 4}
TWO_DAYS = 2 * 24 * 3_600 * 1_000_000
OCCURRED_AT = at("2026-11-24T09:15:02.120000Z")
RECEIVED_AT = at("2026-11-24T09:15:03.000001Z")

ZONE = {
    "time_zone": "Europe/Berlin",
    "time_zone_transitions": [
        {"at": at("2000-01-01T00:00:00Z"), "offset_seconds": 3600},
        {"at": at("2026-03-29T01:00:00Z"), "offset_seconds": 7200},
        {"at": at("2026-10-25T01:00:00Z"), "offset_seconds": 3600},
    ],
}
GRANT = {
    "grant_id": "tokens",
    "unit": "tokens",
    "amount": to_decimal(1_000_000 * PICO),
    "valid_from": at("2026-10-31T23:00:00Z"),
    "valid_to": at("2027-10-31T23:00:00Z"),
    "granted_at": OCCURRED_AT,
    "priority": -2,
    "weights": [
        {"kind": "input", "weight": to_decimal(PICO)},
        {"kind": "output", "weight": to_decimal(5 * PICO // 2)},
    ],
    "model_weights": [
        {"model": "gpt-4o", "weights": [{"kind": "reasoning", "weight": to_decimal(2 * PICO)}]},
        {"model": "gpt-*", "weights": []},
    ],
    "match": '{"attributes":{"team":"red"},"model":"gpt-*"}',
    "per_subject_cap": to_decimal(1_000 * PICO),
    "recurrence": "calendar_month",
    "anchor": at("2026-10-14T22:00:00Z"),
    "rollover": {"most": to_decimal(500 * PICO), "least": to_decimal(PICO)},
    "grace": TWO_DAYS,
    "is_paid": True,
    "returns": "credit",
    "thresholds": {
        "used_percents": [50, 100],
        "remaining": [to_decimal(PICO // 2)],
        "expiry_lead": TWO_DAYS,
        "run_out": True,
    },
}
LIMIT = {
    "limit_id": "daily",
    "measure": "tokens",
    "scope": "subject",
    "subject": "login-17",
    "period": "day",
    "amount": to_decimal(100_000 * PICO),
    "percents": [80, 90],
}
