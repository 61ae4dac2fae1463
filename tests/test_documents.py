"""What the documents tell a reader to type or to open is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.documented import DOCUMENTS, MODULES, ROOT, lines

OURS = [
    line
    for line in lines()
    if MODULES.get(line.words[0], "").startswith("opendas_plugin.") and "prepare acme" not in line.text
]
"""Without the reader of a stranger's package that docs/readers.md builds."""


@pytest.mark.parametrize("line", OURS, ids=lambda line: str(line)[:100])
def test_every_command_line_is_one_that_the_command_takes(line, monkeypatch, tmp_path, capsys):
    """The run is cut off behind the reading of its flags, where its record begins."""
    monkeypatch.chdir(tmp_path)
    for file in ("mine.yaml", "scenes/kitchen/kitchen_masks.pt"):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    words = line.words
    command = importlib.import_module(MODULES[words[0]])

    def understood(*arguments, **options):
        raise RuntimeError("understood")

    monkeypatch.setattr(command, "RunRecord", understood, raising=False)
    monkeypatch.setattr("opendas_plugin.commands.run.run", understood)
    monkeypatch.setattr("opendas_plugin.runs.run.RunRecord", understood)
    code = command.main(words[1:])
    assert (code, "understood" in capsys.readouterr().err) == (1, True), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file(document):
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_ci_runs_the_readmes_test_command():
    command = "pip install -e '.[dev]' && pytest"
    assert f"```bash\n{command}\n```" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == command


def test_every_console_script_has_its_command_and_its_door():
    assert {"opendas-prepare", "opendas-negatives", "opendas-train", "opendas-evaluate"} <= MODULES.keys()
    for module in MODULES.values():
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
        if module.startswith("opendas_plugin."):
            assert (ROOT / "tools" / f"{module.rpartition('.')[2]}.py").is_file()
