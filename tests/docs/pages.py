"""Reading the documentation's Markdown: fenced blocks, links, and tables of codes."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"

_FENCE = re.compile(r"^```(\w*)[ ]*(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE_ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, what follows it on the fence, and its text."""

    language: str
    info: str
    text: str

    @property
    def title(self) -> str:
        """The file that the block is to be saved as: ``title=NAME``, or nothing."""
        return self.info.removeprefix("title=") if self.info.startswith("title=") else ""


def pages() -> list[Path]:
    """Return every page of the documentation, the README and the change log with them."""
    return [README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [Block(*found) for found in _FENCE.findall(page.read_text(encoding="utf-8"))]


def links(page: Path) -> list[str]:
    """Return the targets of a page's links to other files, without their anchors."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [target.partition("#")[0] for target in _LINK.findall(text)]
    return [target for target in targets if target and "://" not in target]


def documented_codes(page: Path, heading: str) -> set[str]:
    """Return the codes in the first column of the tables under a heading of the second level."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    section, _, _ = rest.partition("\n## ")
    return set(_CODE_ROW.findall(section))
