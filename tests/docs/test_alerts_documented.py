"""Every code of a threshold stands in the table of alerts, under its kind."""

import re

from engine.rating import watch
from engine.rating.alert import threshold_alert
from engine.rating.event import AccountEvent, AlertRaised
from engine.rating.period import UTC_ZONE
from engine.rating.usage import Position
from tests.docs.pages import DOCS

_ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \|", re.MULTILINE)
CODES = {
    watch.EXHAUSTED,
    watch.BUCKET_USED,
    watch.BUCKET_LOW,
    watch.RUN_OUT_AHEAD,
    watch.EXPIRY_AHEAD,
    watch.LIMIT_AHEAD,
    watch.LIMIT_REACHED,
}


def kind_of(code: str) -> str:
    raised = AlertRaised(code, code, "", 0)
    event = AccountEvent("acme", 1, "", "", Position("usage", 0, 0), 0, raised)
    alert = threshold_alert(event, UTC_ZONE)
    assert alert is not None
    return alert.kind


def test_every_code_of_a_threshold_is_documented_and_no_other() -> None:
    text = (DOCS / "reference" / "alerts.md").read_text(encoding="utf-8")
    assert sorted(_ROW.findall(text)) == sorted((kind_of(code), code) for code in CODES)
