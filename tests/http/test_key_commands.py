"""`tollbook http-key`: a key is shown once, listed by what it may do, and revoked."""

import json
from pathlib import Path

import pytest

from engine.http.keys import KeyRing
from tests.entrypoints.command import Command, command

__all__ = ["command"]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TOLLBOOK_HTTP_KEYS", raising=False)
    monkeypatch.setenv("TOLLBOOK_HOME", str(tmp_path))
    return tmp_path / "http-keys.json"


def test_a_key_is_made_listed_and_revoked(command: Command, path: Path) -> None:
    ring = KeyRing(path)
    made = command("http-key", "add", "gateway-eu", "--accounts", "acme*", "--note", "for Ann")
    assert made.code == 0
    text = made.out.strip()
    ring.refresh()
    key = ring.find(text)
    assert key is not None
    assert (key.source, key.accounts) == ("gateway-eu", ("acme*",))
    listed = command("http-key", "list", "--json")
    row = json.loads(listed.out)
    assert (row["key_id"], row["accounts"], row["note"]) == (key.key_id, "acme*", "for Ann")
    assert text not in listed.out
    assert command("http-key", "revoke", key.key_id).code == 0
    ring.refresh()
    assert ring.find(text) is None
    assert command("http-key", "revoke", key.key_id).code == 3


def test_a_second_key_leaves_the_first(command: Command, path: Path) -> None:
    keys = [
        command("http-key", "add", source, "--accounts", "acme", "--json").out
        for source in ("gateway-1", "gateway-2")
    ]
    ring = KeyRing(path)
    found = [ring.find(json.loads(key)["key"]) for key in keys]
    assert [key.source for key in found if key] == ["gateway-1", "gateway-2"]


@pytest.mark.parametrize("source", ["", "x" * 257, "gate\nway"])
def test_a_source_that_no_event_can_have_gets_no_key(
    command: Command, path: Path, source: str
) -> None:
    assert command("http-key", "add", source, "--accounts", "acme").code == 1
    assert not path.exists()
