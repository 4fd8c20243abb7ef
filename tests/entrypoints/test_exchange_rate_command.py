"""What `tollbook exchange-rate publish` refuses before it looks for a Kafka."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.entrypoints.cli.main import app
from engine.rating.errors import TollbookError

SINCE = ("--from", "2026-11-01T00:00:00Z")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("EUR", "USD"), "RATE --from: got 'nothing', expected BASE QUOTE RATE --from, or --file"),
        (("EUR", "USD", "1.08", *SINCE, "--file", "rates.yaml"), "not both"),
        (("EUR", "USD", "1,08", *SINCE), "rate: got '1,08', expected a decimal"),
        (("EUR", "USD", "1.08", "--from", "yesterday"), "--from: got 'yesterday'"),
        (("EUR", "EUR", "1", *SINCE), "expected another currency"),
        (("--file", "absent.yaml"), "absent.yaml"),
        (("--file", "rates.yaml"), r"rates.yaml: \[0\].*rate: got '0', expected a rate above 0"),
    ],
)
def test_a_rate_that_is_not_sound_is_named(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rates.yaml").write_text(
        "- {base: EUR, quote: USD, rate: 0, effective_from: 2026-11-01T00:00:00Z}\n"
    )
    with pytest.raises(TollbookError, match=message):
        CliRunner().invoke(app, ["exchange-rate", "publish", *arguments], catch_exceptions=False)
