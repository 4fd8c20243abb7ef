"""The digest of an account's full state, journaled when a period closes.

Two folds that led to the same state have the same digest, whatever wrote them down; an auditor who
replays an account up to a close compares one number. It is the SHA-256 of the state's canonical
JSON: names and lists in a fixed order, money and units as integers of pico. Its shape belongs to the
rules revision: old journals name digests of the shape of their time.
"""

import json
from hashlib import sha256

from engine.rating.account import Account
from engine.rating.grant_document import grant_document
from engine.rating.prepaid import Prepaid


def state_digest(account: Account) -> bytes:
    """Return the SHA-256 of everything that is known of an account."""
    text = json.dumps(state_document(account), sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).digest()


def state_document(account: Account) -> dict[str, object]:
    """Return the state of an account as JSON values."""
    return {
        "account_id": account.account_id,
        "sequence": account.sequence,
        "currency": account.currency,
        "zone": account.zone,
        "close_grace": account.close_grace,
        "assignments": [
            (*a[:4], [(v.version, v.digest.hex()) for v in a.versions], a.overage)
            for a in account.assignments
        ],
        "adopted": account.adopted,
        "staged": account.staged,
        "counters": account.counters,
        "periods": account.periods,
        "closed": account.closed,
        "settled": account.settled,
        "due": account.due,
        "adjusted": account.adjusted,
        "rated_from": account.rated_from,
        "charges": account.charges,
        "suspended_lines": account.suspended_lines,
        "latest_charge_at": account.latest_charge_at,
        "latest_by_tariff": account.latest_by_tariff,
        "commands": sorted(account.commands),
        "awaiting": {key: waiting.principal for key, waiting in account.awaiting.items()},
        "limits": account.limits.by_id,
        "used": [(*key, used) for key, used in sorted(account.limits.uses.items())],
        "limits_over": account.limits.over,
        "raised": account.raised,
        "pending": {
            original: (v.source, v.event_id, v.digest.hex(), v.corrects, v.lapses_at)
            for original, v in account.pending.items()
        },
        **_prepaid(account.prepaid),
    }


def _prepaid(prepaid: Prepaid) -> dict[str, object]:
    return {
        "grants": {
            grant_id: (grant_document(given.grant), given.next_index, given.is_void)
            for grant_id, given in prepaid.grants.items()
        },
        "buckets": {
            name: (bucket.grant.grant_id, *bucket[2:]) for name, bucket in prepaid.buckets.items()
        },
        "subject_draws": [(*key, units) for key, units in sorted(prepaid.subject_draws.items())],
        "money_draws": prepaid.money_draws,
        "burnt": prepaid.burnt,
    }
