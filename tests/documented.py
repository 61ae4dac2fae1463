"""The documents, and the command lines in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "integrations").rglob("*.md")),
]
SETUP = (ROOT / "setup.py").read_text(encoding="utf-8")
MODULES = dict(re.findall(r'"(opendas-[\w-]+) = ([\w.]+):main"', SETUP))
"""Console script -> its module."""
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"(?<!`)`(opendas-[^`]*)`(?!`)")


@dataclass(frozen=True)
class Line:
    """A command as a document has it: its path in the repository, and the text without its comment."""

    document: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}: {self.text}"

    @property
    def words(self) -> list[str]:
        """As a shell reads them."""
        return shlex.split(self.text, comments=True)


def lines() -> list[Line]:
    """Every line of the documents' shell blocks, and every command in the text that is whole: one that says where its
    output goes, or what it runs.
    """
    found = []
    for document in DOCUMENTS:
        text, name = document.read_text(encoding="utf-8"), document.relative_to(ROOT).as_posix()
        for block in BLOCK.findall(text):
            for line in re.split(r"\n|&&", block.replace("\\\n", " ")):
                words = re.sub(r"(^|\s)#.*", "", line).strip()
                found += [Line(name, re.sub(r"\s+", " ", words))] if words else []
        for words in INLINE.findall(BLOCK.sub("", text)):
            whole = re.search(r" --output(-dir)? \S|their_script", words)
            found += [Line(name, " ".join(words.split()))] if whole else []
    return found
