"""Every page: links lead somewhere, and nothing names a machine."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, README, ROOT, links, pages

SHORT = [page.relative_to(ROOT).as_posix() for page in pages()]
MACHINE_PATH = re.compile(r"(?<![\w./])/(work|tmp|home|root|Users)/")


@pytest.mark.parametrize("name", SHORT)
def test_every_link_to_a_file_leads_to_one(name: str) -> None:
    page = ROOT / name
    missing = [target for target in links(page) if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("name", SHORT)
def test_no_page_names_a_path_of_a_machine(name: str) -> None:
    assert not MACHINE_PATH.search((ROOT / name).read_text(encoding="utf-8"))


def test_every_page_is_reachable_from_the_readme() -> None:
    seen: set[Path] = set()
    pending = [README]
    while pending:
        page = pending.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        pending += [(page.parent / target).resolve() for target in links(page)]
    assert set(DOCS.rglob("*.md")) <= seen


@pytest.mark.parametrize("page", sorted((DOCS / "decisions").glob("*.md")), ids=lambda p: p.stem)
def test_a_decision_states_context_choice_and_what_was_rejected(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [part for part in ("Context", "Choice", "Rejected") if f"**{part}.**" not in text] == []
