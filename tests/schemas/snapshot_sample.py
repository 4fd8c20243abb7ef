"""One rich snapshot of a partition; see `samples`."""

from typing import Any

from engine.adapters.avro.wire import encode, qualified, to_decimal
from engine.rating.money import PICO
from schemas import latest
from tests.rating.scenario import at
from tests.schemas.parts import (
    DIGEST,
    GRANT,
    LIMIT,
    OCCURRED_AT,
    RECEIVED_AT,
    TWO_DAYS,
    ZONE,
)

PARTITION_SNAPSHOT: dict[str, Any] = {
    "partition": 3,
    "commit": 2**33,
    "digest": DIGEST,
    "positions": [
        {"topic": "accounts", "offset": 12},
        {"topic": "usage", "offset": 99_121},
    ],
    "tariffs_offset": 7,
    "counts": {
        "consumed": 15,
        "charges": 1,
        "pending": 2,
        "duplicates": 3,
        "rejections": 4,
        "forwarded": 5,
        "commands": 6,
        "commands_rejected": 1,
    },
    "rules": 2,
    "zones": [ZONE, {"time_zone": "UTC", "time_zone_transitions": []}],
    "accounts": [
        {
            "account_id": "acme",
            "sequence": 4711,
            "currency": "EUR",
            "zone": 0,
            "assignments": [
                {
                    "tariff_id": "business",
                    "effective_from": at("2026-11-01T00:00:00Z"),
                    "effective_to": at("2027-11-01T00:00:00Z"),
                    "staged": True,
                    "versions": [{"version": 3, "digest": DIGEST}],
                    "overage": "suspended",
                },
                {
                    "tariff_id": "basic",
                    "effective_from": at("2026-10-01T00:00:00Z"),
                    "effective_to": None,
                    "staged": False,
                    "versions": [],
                    "overage": "priced",
                },
            ],
            "adopted": [
                {"tariff_id": "basic", "versions": [2, 1]},
                {"tariff_id": "business", "versions": [3]},
            ],
            "staged": [{"tariff_id": "basic", "versions": []}],
            "counters": [
                {
                    "counter": "basic/input/acme/2026-10",
                    "quantities": [
                        {
                            "version": 2,
                            "metered": to_decimal(5 * PICO),
                            "promotion": "summer",
                        },
                        {"version": 1, "metered": to_decimal(-1), "promotion": ""},
                    ],
                },
                {
                    "counter": "business/output-by-volume/acme/2026-11",
                    "quantities": [
                        {
                            "version": 3,
                            "metered": to_decimal(50_000_210 * PICO),
                            "promotion": "",
                        }
                    ],
                },
            ],
            "periods": [
                {"period": "2026-10", "amount": to_decimal(0), "charges": 1},
                {
                    "period": "2026-11",
                    "amount": to_decimal(-12_417 * PICO // 1000),
                    "charges": 4708,
                },
            ],
            "due": to_decimal(-12_417 * PICO // 1000),
            "charges": 4709,
            "suspended_lines": 1,
            "latest_charge_at": OCCURRED_AT,
            "commands": ["c-1", "c-2"],
            "as_of": RECEIVED_AT,
            "close_grace": TWO_DAYS,
            "closed": [{"period": "2026-10", "ends_at": at("2026-10-31T23:00:00Z")}],
            "settled": [{"counter": "basic/input/acme/2026-10", "amount": to_decimal(-30 * PICO)}],
            "adjusted": to_decimal(-3 * PICO),
            "rated_from": "2026-10",
            "latest_by_tariff": [
                {"tariff_id": "", "occurred_at": at("2026-10-02T00:00:00Z")},
                {"tariff_id": "business", "occurred_at": OCCURRED_AT},
            ],
            "awaiting": [
                encode(
                    latest("account_command"),
                    {
                        "command_id": "c-3",
                        "account_id": "acme",
                        "principal": "anna",
                        "command": (qualified("VoidGrant"), {"grant_id": "tokens"}),
                        "needs_approval": True,
                    },
                )
            ],
            "raised": [
                {"key": "bucket/tokens#1/bucket_used/50", "until": None},
                {"key": "limit/daily/login-17/2026-11-24/80", "until": RECEIVED_AT},
            ],
            "pending": [
                {
                    "source": "gateway-eu",
                    "event_id": "req-9/void",
                    "digest": DIGEST,
                    "corrects": "req-9",
                    "lapses_at": RECEIVED_AT + TWO_DAYS,
                }
            ],
            "limits": {
                "over": RECEIVED_AT,
                "by_id": [LIMIT],
                "uses": [
                    {
                        "limit_id": "daily",
                        "subject": "login-17",
                        "periods": [{"period": "2026-11-24", "used": to_decimal(85_000 * PICO)}],
                    }
                ],
            },
            "prepaid": {
                "grants": [{"grant": GRANT, "next_index": 2, "is_void": True}],
                "buckets": [
                    {
                        "bucket_id": "tokens#0",
                        "grant_id": "tokens",
                        "valid_from": at("2026-10-31T23:00:00Z"),
                        "valid_to": at("2026-11-14T23:00:00Z"),
                        "granted": to_decimal(6 * PICO),
                        "remaining": to_decimal(0),
                        "drawn": to_decimal(PICO),
                        "expired": to_decimal(3 * PICO),
                        "rolled": to_decimal(PICO),
                        "voided": to_decimal(PICO),
                        "is_closed": True,
                        "is_successor": False,
                    },
                    {
                        "bucket_id": "tokens#0r",
                        "grant_id": "tokens",
                        "valid_from": at("2026-11-14T23:00:00Z"),
                        "valid_to": None,
                        "granted": to_decimal(PICO),
                        "remaining": to_decimal(PICO),
                        "drawn": to_decimal(0),
                        "expired": to_decimal(0),
                        "rolled": to_decimal(0),
                        "voided": to_decimal(0),
                        "is_closed": False,
                        "is_successor": True,
                    },
                ],
                "subject_draws": [
                    {"bucket": "tokens#0", "subject": "login-17", "units": to_decimal(PICO)}
                ],
                "money_draws": [
                    {
                        "counter": "business/output-by-volume/acme/2026-11",
                        "draws": [{"bucket": "credit", "amount": to_decimal(PICO // 3)}],
                    }
                ],
                "burnt": [
                    {
                        "bucket": "tokens#0r",
                        "hours": [
                            {"hour": 498_750, "units": to_decimal(-PICO)},
                            {"hour": 498_751, "units": to_decimal(PICO)},
                        ],
                    }
                ],
            },
        },
        {
            "account_id": "globex",
            "sequence": 0,
            "currency": "",
            "zone": 1,
            "assignments": [],
            "adopted": [],
            "staged": [],
            "counters": [],
            "periods": [],
            "due": to_decimal(0),
            "charges": 0,
            "suspended_lines": 0,
            "latest_charge_at": None,
            "commands": [],
            "as_of": 0,
            "close_grace": 0,
            "closed": [],
            "settled": [],
            "adjusted": to_decimal(0),
            "rated_from": "",
            "latest_by_tariff": [],
            "awaiting": [],
            "raised": [],
            "pending": [],
            "limits": None,
            "prepaid": None,
        },
    ],
    "notes": ["0f0e0d0c0b0a09080706050403020100", "ünïcode"],
}
