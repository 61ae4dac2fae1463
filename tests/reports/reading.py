"""Reads a page as a browser does that runs no script."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path


class Reader(HTMLParser):
    """What a page shows and what it points at."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.scripts = 0
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        own = dict(attrs)
        self.links += [own["href"]] if tag == "a" and own.get("href") else []
        self.sources += [own[key] for key in ("src", "srcset", "data") if own.get(key)]
        self.sources += [own["href"]] if tag in ("link", "image", "use") and own.get("href") else []
        self.sources += [own["xlink:href"]] if own.get("xlink:href") else []
        self.scripts += tag == "script"
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag):
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._hidden and data.strip():
            self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.words)


def read_page(path: Path) -> Reader:
    """Reads a page, which must hold everything that it needs."""
    page = path.read_text(encoding="utf-8")
    found = Reader(page)
    outside = [source for source in found.sources if not source.startswith(("data:", "#"))]
    assert outside == [], outside[:3]
    assert not [link for link in found.links if "://" in link and not link.startswith("file:")]
    assert len(page.encode()) <= 5_000_000
    return found
