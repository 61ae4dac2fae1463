"""What the documents tell a reader to type or to open is there."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SETUP = (ROOT / "setup.py").read_text(encoding="utf-8")
MODULES = dict(re.findall(r'"(opendas-[\w-]+) = opendas_plugin\.commands\.(\w+):main"', SETUP))
"""Console script -> its module in commands/."""


def shell_lines():
    """(document, command line) for every command of ours in the documents' shell blocks."""
    for document in DOCUMENTS:
        for block in re.findall(r"```bash\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL):
            for line in re.split(r"\n|&&", block):
                words = shlex.split(line, comments=True)
                if words and words[0] in MODULES:
                    yield document.name, words


@pytest.mark.parametrize(("document", "words"), list(shell_lines()), ids=lambda value: str(value)[:60])
def test_every_command_line_is_one_that_the_command_takes(document, words, monkeypatch, tmp_path, capsys):
    """The run is cut off behind the reading of its flags, where its record begins."""
    monkeypatch.chdir(tmp_path)
    for file in ("mine.yaml", "scenes/kitchen/kitchen_masks.pt"):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    command = importlib.import_module(f"opendas_plugin.commands.{MODULES[words[0]]}")

    def understood(*arguments, **options):
        raise RuntimeError("understood")

    monkeypatch.setattr(command, "RunRecord", understood, raising=False)
    monkeypatch.setattr("opendas_plugin.commands.run.run", understood)
    monkeypatch.setattr("opendas_plugin.runs.run.RunRecord", understood)
    code = command.main(words[1:])
    assert (code, "understood" in capsys.readouterr().err) == (1, True), f"{document}: {shlex.join(words)}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document):
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_ci_runs_the_readmes_test_command():
    command = "pip install -e '.[dev]' && pytest"
    assert f"```bash\n{command}\n```" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == command


def test_every_console_script_has_its_command_and_its_door():
    assert {"opendas-prepare", "opendas-negatives", "opendas-train", "opendas-evaluate"} <= MODULES.keys()
    for module in MODULES.values():
        assert (ROOT / "tools" / f"{module}.py").is_file()
        assert (ROOT / "opendas_plugin" / "commands" / f"{module}.py").is_file()
