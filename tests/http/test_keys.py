"""Keys: found by what they are, kept as digests, read again when they change."""

import json
import stat
from pathlib import Path

import pytest

from engine.http.keys import KeyRing, new_key, read_key_file, write_key_file
from engine.rating.errors import InvalidDocument


def kept(path: Path, *sources: str) -> list[str]:
    """Write a file with a key of each source; return the keys' texts."""
    made = [new_key(source, ["acme"]) for source in sources]
    write_key_file(path, {key.key_id: key for _, key in made})
    return [text for text, _ in made]


def test_a_key_is_found_by_its_text_and_by_nothing_near_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    one, other = kept(path, "gateway-1", "gateway-2")
    ring = KeyRing(path)
    found = ring.find(one)
    assert found is not None
    assert found.source == "gateway-1"
    _, key_id, secret = one.split("_", 2)
    wrong = [one[:-1], f"{one}x", f"tb_{key_id}_", key_id, secret, "", other.replace("tb", "xx", 1)]
    assert [ring.find(text) for text in wrong] == [None] * len(wrong)
    assert ring.find(f"tb_{key_id}_{other.split('_', 2)[2]}") is None


def test_a_file_holds_no_key_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "keys.json"
    (text,) = kept(path, "gateway-1")
    assert text.split("_", 2)[2] not in path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


def test_keys_that_are_added_and_revoked_count_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    (old,) = kept(path, "gateway-1")
    ring = KeyRing(path)
    (new,) = kept(path, "gateway-1")
    ring.refresh()
    assert ring.find(old) is None
    assert ring.find(new) is not None


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"keys": 3}', '{"keys": [{"key_id": "a"}]}'])
def test_a_file_that_is_none_refuses_a_start_and_changes_nothing_later(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "keys.json"
    (text,) = kept(path, "gateway-1")
    ring = KeyRing(path)
    path.write_text(damage, encoding="utf-8")
    with pytest.raises(InvalidDocument):
        KeyRing(path)
    ring.refresh()
    assert ring.find(text) is not None


def test_a_missing_file_is_told() -> None:
    with pytest.raises(InvalidDocument, match="key file"):
        read_key_file(Path("/nowhere/keys.json"))


def test_a_key_covers_the_accounts_that_it_names_and_those_of_its_globs() -> None:
    _, key = new_key("gateway-1", ["acme", "globex-*"])
    covered = ["acme", "globex-", "globex-7"]
    other = ["acme-1", "globex", "initech", "", "ACME"]
    assert [key.covers(account) for account in covered] == [True] * len(covered)
    assert [key.covers(account) for account in other] == [False] * len(other)
    assert key.only_account == ""
    assert new_key("gateway-1", ["acme"])[1].only_account == "acme"
    assert new_key("gateway-1", ["acme*"])[1].only_account == ""


def test_a_file_reads_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, key = new_key("gateway-1", ["a", "b*"], events_per_second=7, note="for Ann")
    write_key_file(path, {key.key_id: key})
    assert read_key_file(path) == {key.key_id: key}
    assert json.loads(path.read_text(encoding="utf-8"))["keys"][0]["note"] == "for Ann"
