"""What documents point to is there, and what is generated into them is not empty."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)|(?:src|href)=\"([^\"]+)\"")
BLOCK = re.compile(r"<!-- ([\w.-]+):begin -->(.*?)<!-- \1:end -->", re.DOTALL)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- ([\w.-]+):(begin|end) -->")


def missing(text: str, folder: Path) -> list[str]:
    """The relative links of a text that lead nowhere."""
    found = (one or other for one, other in LINK.findall(FENCE.sub("", text)))
    relative = [link.partition("#")[0] for link in found if not re.match(r"[a-z]+:|#", link)]
    return [link for link in relative if not (folder / link).exists()]


def empty(text: str) -> list[str]:
    """The generated blocks of a text that hold nothing, or that do not end."""
    whole = {name for name, _ in BLOCK.findall(text)}
    broken = [name for name, _ in MARK.findall(text) if name not in whole]
    return [name for name, inside in BLOCK.findall(text) if not inside.strip()] + broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    assert missing(document.read_text(encoding="utf-8"), document.parent) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_generated_block_is_empty(document: Path) -> None:
    assert empty(document.read_text(encoding="utf-8")) == []


def test_something_is_looked_at() -> None:
    """Controls: there are links and blocks, and wrong ones are seen."""
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    assert any(LINK.search(text) for text in texts) and any(BLOCK.search(text) for text in texts)
    assert missing("[a](gone.md#here) [b](https://example.org) [c](#d) [e](README.md)", ROOT) == ["gone.md"]
    assert empty("<!-- a:begin -->\n\n<!-- a:end --> <!-- b:begin -->x<!-- b:end -->") == ["a"]
    assert empty("<!-- a:begin --> text") == ["a"]
