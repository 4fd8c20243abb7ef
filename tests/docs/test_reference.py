"""The reference is held to the code: nothing missing, nothing stale."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.adapters.kafka.topics import CONFIGS
from engine.settings import kafka_settings
from tests.docs.generate import PAGES, all_commands
from tests.docs.pages import DOCS, ROOT, documented_codes

REFERENCE = DOCS / "reference"
REJECTIONS = REFERENCE / "rejections.md"
SETTINGS = REFERENCE / "settings.md"
_REFUSAL = re.compile(r'\bRefusal\(\s*"(\w+)"')
_COMMAND_REFUSAL = re.compile(r'\brefused\(\s*"(\w+)"')
_SUSPENSE = re.compile(r'return "(\w+)"|^[A-Z_]+ = "(\w+)"', re.MULTILINE)
_TERMS = [
    ROOT / "engine" / "rating" / name for name in ("grant.py", "limit.py", "orders.py", "rules.py")
]
"""Whose refusals become those of a command."""
_VARIABLE = re.compile(r"\bTOLLBOOK_[A-Z]+(?:_[A-Z]+)*\b")


def codes_in_code(pattern: re.Pattern[str], folder: Path = ROOT / "engine") -> set[str]:
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return {code for match in pattern.finditer(text) for code in match.groups() if code}


@pytest.mark.parametrize(("page", "render"), PAGES.items(), ids=[page.stem for page in PAGES])
def test_a_generated_page_is_what_the_code_says(page: Path, render: Callable[[], str]) -> None:
    assert page.read_text(encoding="utf-8") == render(), "run: python -m tests.docs.generate"


@pytest.mark.parametrize(("name", "command"), all_commands())
def test_every_command_has_help_with_an_example_and_helped_options(
    name: str, command: object
) -> None:
    text = str(getattr(command, "help", ""))
    assert f"Example: {name}" in text or f"$({name}" in text
    parameters = getattr(command, "params", [])
    assert [p.name for p in parameters if p.opts[0].startswith("--") and not p.help] == []


def test_every_rejection_code_is_documented_and_no_other() -> None:
    documented = documented_codes(REJECTIONS, "Rejection codes")
    documented |= documented_codes(REJECTIONS, "Refused voids")
    in_terms = set().union(*(codes_in_code(_REFUSAL, file) for file in _TERMS))
    assert documented | in_terms == codes_in_code(_REFUSAL)


def test_every_command_refusal_is_documented_and_no_other() -> None:
    documented = documented_codes(REJECTIONS, "Command refusals")
    codes = codes_in_code(_COMMAND_REFUSAL, ROOT / "engine" / "rating")
    assert documented == codes.union(*(codes_in_code(_REFUSAL, file) for file in _TERMS))


def test_every_suspense_reason_is_documented_and_no_other() -> None:
    files = [ROOT / "engine" / "rating" / name for name in ("rate.py", "metering.py")]
    codes = set().union(*(codes_in_code(_SUSPENSE, file) for file in files))
    assert documented_codes(REJECTIONS, "Suspense reasons") == codes


def test_every_environment_variable_is_documented_and_no_other() -> None:
    code = "\n".join(f.read_text(encoding="utf-8") for f in (ROOT / "engine").rglob("*.py"))
    read = set(_VARIABLE.findall(code)) - {"TOLLBOOK_KAFKA"}
    passed = kafka_settings("host:9092", _Everything()).options
    read |= {f"TOLLBOOK_KAFKA_{name.upper()}" for name, _ in passed}
    documented = set(_VARIABLE.findall(SETTINGS.read_text(encoding="utf-8")))
    assert documented == read


class _Everything(dict[str, str]):
    """An environment in which every variable is set."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return "set"


@pytest.mark.parametrize("topic", CONFIGS)
def test_the_table_of_topics_shows_the_settings_they_are_created_with(topic: str) -> None:
    config = CONFIGS[topic]
    timestamp = config.get("message.timestamp.type", "CreateTime")
    largest = int(config["max.message.bytes"]) // 2**20
    row = f"| `{topic}` | {timestamp} | {largest} MiB | {config['cleanup.policy']} |"
    assert row in SETTINGS.read_text(encoding="utf-8")
