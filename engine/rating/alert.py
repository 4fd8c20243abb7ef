"""Alerts: what an operator should know, derived from the journal and so the same in every replay.

Usage in suspense raises one alert per account, month, reason and thing that lacks a price; more
of the same in that month is counted on the balance and not alerted again.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from engine.rating.charge import SUSPENSE, Charge


class Alert(NamedTuple):
    """Something an operator should know; `alert_id` is deterministic."""

    alert_id: str
    account_id: str
    sequence: int
    kind: str
    code: str
    explanation: str
    occurred_at: int
    service_period: str


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
                    "suspense",
                    line.reason,
                    explanation,
                    charge.occurred_at,
                    charge.service_period,
                )
            )
        return alerts
