"""One rich record of each schema, in words of the domain: what `freeze` writes down for ever.

Each holds no field at its default, so that every field of a version is proved to be readable.
"""

from typing import Any

from engine.adapters.avro.wire import qualified, to_decimal
from engine.rating.money import PICO
from tests.rating.scenario import at

DIGEST = bytes(range(32))
POSITION = {"topic": "usage", "partition": 3, "offset": 99_120, "index": 4}
TWO_DAYS = 2 * 24 * 3_600 * 1_000_000
OCCURRED_AT = at("2026-11-24T09:15:02.120000Z")
RECEIVED_AT = at("2026-11-24T09:15:03.000001Z")

QUANTITIES = {
    **dict.fromkeys(("request", "image", "millisecond", "character"), 1),
    "input": 1200,
    "cache_read": 4096,
    "cache_write_5m": 7,
    "cache_write_1h": 8,
    "output": 310,
    "reasoning": 64,
    "audio_input": 9,
    "audio_output": 10,
    "image_input": 11,
    "image_output": 12,
    "search": 2,
    "page": 3,
    "tool_call": 5,
    "pass_through_cost": to_decimal(15 * PICO // 10),
    "unexplained": 6,
}
USAGE_EVENT = {
    "account_id": "acme",
    "source": "gateway-eu",
    "event_id": "req-81c1/1",
    "subject": "login-17",
    "occurred_at": OCCURRED_AT,
    "provider": "openai",
    "model": "gpt-4o",
    "operation": "completion",
    "service_tier": "batch",
    "region": "eu-west-1",
    "quantities": QUANTITIES,
    "trace_id": "t-9",
    "parent_event_id": "req-81c0/1",
    "initiator": "agent",
    "action": "amend",
    "corrects": "req-81bf/1",
    "attributes": {"team": "red", "ünïcode": "日本"},
    "publisher": "gateway-eu-7",
    "publisher_sequence": 2**40,
}
ZONE = {
    "time_zone": "Europe/Berlin",
    "time_zone_transitions": [
        {"at": at("2000-01-01T00:00:00Z"), "offset_seconds": 3600},
        {"at": at("2026-03-29T01:00:00Z"), "offset_seconds": 7200},
        {"at": at("2026-10-25T01:00:00Z"), "offset_seconds": 3600},
    ],
}
LINES = [
    {
        "component": "output-by-volume",
        "kind": "output",
        "quantity": 310,
        "counter": "business/output-by-volume/acme/2026-11",
        "before": to_decimal(49_999_900 * PICO),
        "metered": to_decimal(310 * PICO),
        "slices": [
            {
                "tier": 0,
                "quantity": to_decimal(100 * PICO),
                "unit_price": "10",
                "per": 1_000_000,
                "flat_fee": "",
                "amount": to_decimal(PICO // 1000),
            },
            {
                "tier": 1,
                "quantity": to_decimal(210 * PICO),
                "unit_price": "8",
                "per": 1_000_000,
                "flat_fee": "1",
                "amount": to_decimal(PICO + 168 * PICO // 100_000),
            },
        ],
        "repricings": [
            {
                "version": 4,
                "before": to_decimal(0),
                "metered": to_decimal(5 * PICO),
                "amount": to_decimal(-7),
                "promotion": "spring",
            }
        ],
        "amount": to_decimal(PICO + 268 * PICO // 100_000 - 7),
        "status": "rated",
        "reason": "",
        "promotion": "summer",
        "tally": "business//summer/acme/lifetime",
        "tallied": to_decimal(310 * PICO),
    },
    {
        "component": "",
        "kind": "unexplained",
        "quantity": 6,
        "counter": "",
        "before": to_decimal(0),
        "metered": to_decimal(0),
        "slices": [],
        "repricings": [],
        "amount": None,
        "status": "suspense",
        "reason": "no_price",
        "promotion": "",
        "tally": "",
        "tallied": None,
    },
]

SAMPLES: dict[str, Any] = {
    "usage_event": USAGE_EVENT,
    "usage_batch": {"events": [USAGE_EVENT, {**USAGE_EVENT, "event_id": "req-81c1/2"}]},
    "forwarded_usage": {
        "position": POSITION,
        "received_at": RECEIVED_AT,
        "usage": b"\xc3\x01usage event",
    },
    "source_registration": {
        "source": "gateway-eu",
        "accounts": ["acme", "tenant-*"],
        "actions": ["record", "void"],
        "max_lateness_seconds": 7_776_000,
        "key_digests": [DIGEST],
        "principal": "anna",
    },
    "rules_revision": {"revision": 2, "principal": "anna"},
    "exchange_rate": {
        "base": "EUR",
        "quote": "USD",
        "rate": "1.0834",
        "effective_from": OCCURRED_AT,
        "source": "ECB",
        "principal": "anna",
    },
    "tariff_version": {
        "tariff_id": "business",
        "version": 3,
        "digest": DIGEST,
        "document": '{"tariff_id":"business","version":3}',
    },
    "account_command": {
        "command_id": "c-1",
        "account_id": "acme",
        "principal": "anna",
        "command": (qualified("OpenAccount"), {"currency": "EUR", **ZONE, "close_grace": TWO_DAYS}),
    },
    "journal_commit": {
        "partition": 3,
        "commit": 2**33,
        "previous": DIGEST,
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
        "records": [b"\xc3\x01first", b"\xc3\x01second", b""],
    },
    "partition_snapshot": {
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
                    },
                    {
                        "tariff_id": "basic",
                        "effective_from": at("2026-10-01T00:00:00Z"),
                        "effective_to": None,
                        "staged": False,
                        "versions": [],
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
                "settled": [
                    {"counter": "basic/input/acme/2026-10", "amount": to_decimal(-30 * PICO)}
                ],
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
            },
        ],
        "notes": ["0f0e0d0c0b0a09080706050403020100", "ünïcode"],
    },
    "charge_event": {
        "charge_id": "6d74757c963c4cd323c776a3fe302102",
        "kind": "usage",
        "account_id": "acme",
        "subject": "login-17",
        "sequence": 4711,
        "usage": {
            "source": "gateway-eu",
            "event_id": "req-81c1/1",
            "digest": DIGEST,
            "position": POSITION,
        },
        "occurred_at": OCCURRED_AT,
        "received_at": RECEIVED_AT,
        "service_period": "2026-11",
        "provider": "openai",
        "model": "gpt-4o",
        "operation": "chat",
        "service_tier": "standard",
        "region": "eu-west-1",
        "tariff": {"tariff_id": "business", "version": 3, "digest": DIGEST, "offset": 12},
        "rules": 1,
        "currency": "EUR",
        "lines": LINES,
        "drawdowns": [
            {"bucket": "b-1", "units": to_decimal(40 * PICO), "remaining": to_decimal(PICO)},
            {"bucket": "b-2", "units": to_decimal(-1), "remaining": to_decimal(0)},
        ],
        "amount": to_decimal(PICO + 268 * PICO // 100_000 - 7),
        "supplier_cost": to_decimal(PICO // 2),
        "supplier": {
            "tariff": {"tariff_id": "openai", "version": 2, "digest": DIGEST, "offset": 14},
            "currency": "USD",
            "cost": to_decimal(55 * PICO // 100),
            "rate": "0.91",
            "rate_offset": 9,
        },
        "margin": to_decimal(PICO // 2 + 268 * PICO // 100_000 - 7),
        "corrects": "c-0",
        "trace_id": "t-9",
        "parent_event_id": "req-81c0/1",
        "initiator": "tool",
        "due": to_decimal(-(10**37) - 1),
    },
    "account_event": {
        "account_id": "acme",
        "sequence": 2,
        "command_id": "c-2",
        "principal": "anna",
        "position": {**POSITION, "topic": "accounts", "index": 0},
        "received_at": RECEIVED_AT,
        "change": (
            qualified("PeriodClosed"),
            {
                "period": "2026-11",
                "starts_at": at("2026-10-31T23:00:00Z"),
                "ends_at": at("2026-11-30T23:00:00Z"),
            },
        ),
    },
    "balance": {
        "account_id": "acme",
        "sequence": 4711,
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "tariff_id": "business",
        "due": to_decimal(-12_417 * PICO // 1000),
        "periods": [
            {"period": "2026-10", "amount": to_decimal(0), "charges": 1},
            {"period": "2026-11", "amount": to_decimal(-12_417 * PICO // 1000), "charges": 4708},
        ],
        "charges": 4709,
        "suspended_lines": 1,
        "as_of": RECEIVED_AT,
    },
    "alert": {
        "alert_id": "0f0e0d0c0b0a09080706050403020100",
        "account_id": "acme",
        "sequence": 4711,
        "kind": "suspense",
        "code": "no_price",
        "explanation": "openai/gpt-4o/standard/unexplained of account acme is in suspense: no_price",
        "occurred_at": OCCURRED_AT,
        "service_period": "2026-11",
    },
    "rejection": {
        "position": POSITION,
        "received_at": RECEIVED_AT,
        "code": "undecodable",
        "explanation": "body: got 3 bytes that are no usage_event, expected version 1 of it",
        "account_id": "acme",
        "source": "gateway-eu",
        "event_id": "req-81c1/1",
        "digest": DIGEST,
        "size": 70_000,
        "original": bytes(range(256)),
    },
}
