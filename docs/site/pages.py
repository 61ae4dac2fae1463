"""Pages of the site that do not lie in docs/: the hosts', the commands' own help, changes; and links between all.

A hook of mkdocs (``hooks`` in mkdocs.yml). In the repository every link leads to a file; on the site one that leaves
the pages becomes the name of the file.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

from opendas_plugin import runs

ROOT = Path(__file__).parents[2]
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    **{
        path.relative_to(ROOT).as_posix(): f"hosts/{path.parent.name if path.stem == 'README' else path.stem}.md"
        for path in sorted((ROOT / "integrations").glob("*/*.md"))
    },
    "integrations/README.md": "hosts/index.md",
}
"""File of the repository -> its page."""
COMMANDS = "reference/commands.md"
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages."""
    for source, page in OUTSIDE.items():
        if page != "index.md":
            files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    files.append(File.generated(config, COMMANDS, content=commands()))
    python = files.get_file_from_path("reference/python.md")
    content = Path(python.abs_src_path).read_text("utf-8") + functions()
    files.remove(python)
    files.append(File.generated(config, "reference/python.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Leads links to the site's pages."""
    here = page.file.src_uri
    sources = {target: source for source, target in OUTSIDE.items() if target != "index.md"}
    folder = posixpath.dirname(sources.get(here, f"docs/{here}"))

    def lead(found: re.Match[str]) -> str:
        words, link = found.groups()
        target, hash_, part = link.partition("#")
        if not target or "://" in target:
            return found.group(0)
        source = posixpath.normpath(posixpath.join(folder, target))
        to = OUTSIDE.get(source) or (source.removeprefix("docs/") if source.startswith("docs/") else None)
        if to is None or files.get_file_from_path(to) is None:
            return words if words.startswith("`") else f"{words} (`{source}`)"
        if to == "index.md" and hash_:
            hash_, part = "", ""
        return f"[{words}]({posixpath.relpath(to, posixpath.dirname(here) or '.')}{hash_}{part})"

    return LINK.sub(lead, markdown)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Takes Sphinx' roles from the docstrings: only the name is left."""
    return re.sub(r":(?:func|class|meth|mod|attr|data):<code>~?(?:[\w.]+\.)?([\w]+)</code>", r"<code>\1</code>", html)


def commands() -> str:
    """The page of all commands: what each prints for --help."""
    setup = (ROOT / "setup.py").read_text("utf-8")
    lines = ["# Commands", "", "What each command prints for `--help`. Flags with dots are fields of a recipe."]
    for name, module in re.findall(r'"(opendas-[\w-]+) = ([\w.]+):main"', setup):
        text = help_of(module, [])
        lines += ["", f"## {name}", "", "```text", text, "```"]
        for own in subcommands(text):
            lines += ["", f"### {name} {own}", "", "```text", help_of(module, [own]), "```"]
    return "\n".join(lines) + "\n"


def help_of(module: str, words: list[str]) -> str:
    """What a command prints."""
    printed = io.StringIO()
    os.environ["COLUMNS"] = "80"
    command = importlib.import_module(module).main
    with contextlib.redirect_stdout(printed):
        try:
            code = command([*words, "--help"])
        except SystemExit as ended:
            code = ended.code
    if code:
        raise RuntimeError(f"{module} {words} --help ended with {code}")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", printed.getvalue()).replace(str(Path.home()), "~")
    return "\n".join(line.rstrip() for line in plain.splitlines())


def subcommands(text: str) -> list[str]:
    """The sub-commands that a help names."""
    usage = re.sub(r"\[[^\[\]]*\]", "", text.partition("\n\n")[0])
    found = re.search(r"\{([^{}]+)\}", usage)
    return re.sub(r"\s", "", found.group(1)).split(",") if found else re.findall(r" (\w+) --help$", usage, re.MULTILINE)


def functions() -> str:
    """The functions behind the commands, a heading each."""
    found = [name for name in runs.__all__ if inspect.isfunction(getattr(runs, name))]
    return "\n## The commands' functions\n" + "".join(f"\n::: opendas_plugin.runs.{name}\n" for name in found)
