"""Keys: found by what they are, kept as digests, read again when they change."""

import contextlib
import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.http.keys import KeyRing, changed_key_file, new_key, read_key_file, write_key_file
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


WHOLE = {"key_id": "a", "digest": "0" * 64, "source": "gateway-1", "accounts": ["acme"]}


def of_keys(*entries: object) -> str:
    return json.dumps({"keys": entries})


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"keys": 3}',
        of_keys({"key_id": "a"}),
        of_keys("a"),
        of_keys({**WHOLE, "accounts": "acme*"}),  # letter by letter it would be every account
        of_keys({**WHOLE, "accounts": []}),
        of_keys({**WHOLE, "accounts": [1]}),
        of_keys({**WHOLE, "digest": "ü" * 64}),
        of_keys({**WHOLE, "events_per_second": 0}),
        of_keys({**WHOLE, "more": 1}),
        of_keys(WHOLE, WHOLE),
    ],
)
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


def test_a_whole_entry_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(of_keys(WHOLE), encoding="utf-8")
    assert read_key_file(path)["a"].accounts == ("acme",)


def test_a_file_that_is_replaced_stays_whose_it_was_and_a_link_stays_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "keys.json", tmp_path / "link.json"
    (text,) = kept(path, "gateway-1")
    path.chmod(0o640)
    link.symlink_to(path)
    ring = KeyRing(path)
    with changed_key_file(link) as keys:
        keys.clear()
    ring.refresh()
    assert ring.find(text) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert link.is_symlink()


def test_what_fails_while_keys_are_changed_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    (text,) = kept(path, "gateway-1")
    with contextlib.suppress(LookupError), changed_key_file(path) as keys:
        keys.clear()
        raise LookupError
    assert KeyRing(path).find(text) is not None


def test_keys_that_are_made_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"

    def add(number: int) -> str:
        text, key = new_key(f"gateway-{number}", ["acme"])
        with changed_key_file(path) as keys:
            time.sleep(0.002)
            keys[key.key_id] = key
        return text

    with ThreadPoolExecutor(8) as makers:
        texts = list(makers.map(add, range(24)))
    ring = KeyRing(path)
    assert [text for text in texts if ring.find(text) is None] == []


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
