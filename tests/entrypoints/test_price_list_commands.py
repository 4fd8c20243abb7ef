"""`tollbook tariff import-prices` and `import-history`, as a person runs them."""

import json
from pathlib import Path

from tests.entrypoints.command import Command, command

__all__ = ["command"]

LIST = {
    "gpt": {
        "litellm_provider": "openai",
        "input_cost_per_token": "2e-06",
        "input_cost_per_token_above_200k_tokens": "4e-06",
        "cache_read_input_token_cost_above_200k_tokens": "4e-07",
        "input_cost_per_video_token": "1e-06",
    },
    "silent": {"litellm_provider": "openai", "mode": "chat"},
}


def price_list(folder: Path) -> Path:
    file = folder / "prices.json"
    file.write_text(json.dumps(LIST))
    return file


def history(folder: Path, *values: tuple[str, str]) -> Path:
    file = folder / "history.jsonl"
    change = {"model": "gpt", "field": "input_cost_per_token", "kind": "changed"}
    lines = [json.dumps({**change, "date": day, "value": value}) for day, value in values]
    file.write_text("\n".join(lines).replace("}", ', "litellm_provider": "openai"}'))
    return file


def test_what_the_tariff_does_not_hold_is_counted_on_stderr_and_named_as_json(
    command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "tariff.json"
    done = command("tariff", "import-prices", price_list(tmp_path), "--out", out, "--json")
    (row,) = map(json.loads, done.out.splitlines())
    *before, doubt = done.err.splitlines()
    assert before == [
        "1 of 2 models have no price in the list",
        "fields of the list: 3 expressed, 1 not:",
        "     1  no kind of usage stands for tokens of video",
    ]
    assert doubt.startswith(
        "     1  expressed, but doubtful: a price for long contexts without one"
    )
    assert [finding["field"] for finding in row["not_expressed"]] == ["input_cost_per_video_token"]
    assert len(row["doubtful"]) == 1
    assert row["without_price"] == ["silent"]
    assert (done.code, len(json.loads(out.read_text())["components"])) == (0, 3)


def test_a_history_is_written_as_one_file_for_each_version_and_rated_offline(
    command: Command, tmp_path: Path
) -> None:
    changes = history(tmp_path, ("2025-02-01", "0.000001"), ("2025-04-01", "0.000003"))
    folder = tmp_path / "versions"
    done = command(
        *("tariff", "import-history", changes, "--tariff-id", "retail", "--markup", "50"),
        *("--prices", price_list(tmp_path), "--model", "g*", "--out", folder, "--json"),
    )
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["effective_from"][:10] for row in rows] == ["2025-02-01", "2025-04-01"]
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["retail-01.json", "retail-02.json"]
    usage = tmp_path / "usage.jsonl"
    usage.write_text(
        '{"account_id": "acme", "source": "g", "event_id": "e", "provider": "openai", '
        '"occurred_at": "2025-03-31T23:59:59Z", "model": "gpt", "quantities": {"input": 1000}}'
    )
    rated = command("rate", "--tariff", files[0], "--tariff", files[1], "--usage", usage)
    assert json.loads(rated.out)["amount"] == "0.0015"


def test_an_import_that_finds_nothing_says_where_and_what_was_expected(
    command: Command, tmp_path: Path
) -> None:
    missing = command("tariff", "import-prices", tmp_path / "none.json", "--out", tmp_path / "x")
    assert (missing.code, "expected a readable JSON file" in missing.err) == (1, True)
    changes = history(tmp_path, ("2025-02-30", "0.000001"))
    wrong = command("tariff", "import-history", changes, "--out", tmp_path / "y")
    assert (wrong.code, "line 1: got '2025-02-30', expected a date" in wrong.err) == (1, True)
    markup = command(
        *("tariff", "import-prices", price_list(tmp_path), "--out", tmp_path / "x"),
        *("--markup", "much"),
    )
    assert (markup.code, "markup: got 'much', expected a percentage" in markup.err) == (1, True)
