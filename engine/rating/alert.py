"""Alerts: what an operator should know, derived from the journal and so the same in every replay.

Two kinds come from thresholds of buckets and limits: the journal says when one is crossed
(engine.rating.watch), once per crossing and period, and every such account event is an alert. The
third is usage in suspense: one alert per account, month, reason and thing that lacks a price; more of
the same in that month is counted on the balance and not alerted again.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from engine.rating.charge import SUSPENSE, Charge
from engine.rating.event import AccountEvent, AlertRaised
from engine.rating.period import FrozenZone, billing_month
from engine.rating.watch import LIMIT_AHEAD, LIMIT_REACHED

BUCKET_ALERT = "bucket"
LIMIT_ALERT = "limit"
SUSPENSE_ALERT = "suspense"


class Alert(NamedTuple):
    """Something an operator should know; `alert_id` is deterministic.

    `code` is a reason of suspense, or one of engine.rating.watch. `key` names the threshold and its
    period; it may be crossed again after `until` (us UTC; None: not by time). Suspense has neither.
    """

    alert_id: str
    account_id: str
    sequence: int
    kind: str
    code: str
    explanation: str
    occurred_at: int
    service_period: str
    key: str = ""
    until: int | None = None


def threshold_alert(event: AccountEvent, zone: FrozenZone) -> Alert | None:
    """Return the alert that an account event is; None if it is none. `zone`: the account's."""
    raised = event.change
    if not isinstance(raised, AlertRaised):
        return None
    cause = "\0".join((event.account_id, raised.key, str(event.sequence)))
    return Alert(
        sha256(cause.encode()).hexdigest()[:32],
        event.account_id,
        event.sequence,
        LIMIT_ALERT if raised.code in (LIMIT_AHEAD, LIMIT_REACHED) else BUCKET_ALERT,
        raised.code,
        raised.explanation,
        raised.occurred_at,
        billing_month(zone, raised.occurred_at),
        raised.key,
        raised.until,
    )


class SuspenseAlerts:
    """Remembers which suspense was alerted already, by alert id."""

    def __init__(self, raised: Iterable[str] = ()) -> None:
        self.raised = set(raised)

    def of(self, charge: Charge) -> list[Alert]:
        """Return the alerts that this charge raises, in the order of its lines."""
        alerts = []
        for line in charge.lines:
            if line.status != SUSPENSE:
                continue
            dimensions = (charge.provider, charge.model, charge.operation, charge.service_tier)
            thing = (*dimensions, line.kind) if line.reason == "no_price" else ("usage",)
            cause = "\0".join((charge.account_id, charge.service_period, line.reason, *thing))
            alert_id = sha256(cause.encode()).hexdigest()[:32]
            if alert_id in self.raised:
                continue
            self.raised.add(alert_id)
            explanation = (
                f"{'/'.join(thing)} of account {charge.account_id} is in suspense: {line.reason}"
            )
            alerts.append(
                Alert(
                    alert_id,
                    charge.account_id,
                    charge.sequence,
                    SUSPENSE_ALERT,
                    line.reason,
                    explanation,
                    charge.occurred_at,
                    charge.service_period,
                )
            )
        return alerts
