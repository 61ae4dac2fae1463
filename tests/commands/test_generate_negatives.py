"""generate_negatives.py as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from opendas_plugin.commands.generate_negatives import main
from opendas_plugin.negatives.database import NegativeDatabase
from opendas_plugin.vocabulary import Vocabulary
from tests.negatives.language_model_server import MODEL, answer, asked_classes, completion, serve

ROOT = Path(__file__).parents[2]


def test_writes_five_names_a_class_with_their_source(domain: Path, tiny_backbone: str, tmp_path: Path) -> None:
    output = tmp_path / "made" / "negatives.json"
    flags = [
        "--vocabulary",
        str(domain / "vocabulary.json"),
        "--output",
        str(output),
        "--backbone",
        tiny_backbone,
        "--pretrained",
        "random",
    ]
    assert main([*flags, "--device", "cpu"]) == 0
    vocabulary = Vocabulary.load(domain / "vocabulary.json")
    NegativeDatabase.load(output).validate(vocabulary)
    content = json.loads(output.read_text())
    assert set(content) == set(vocabulary.base)
    assert all(set(item) == {"name", "source"} for items in content.values() for item in items)
    record = json.loads((output.parent / "negatives.run.json").read_text())
    assert record["config"]["source"] == "offline"


@pytest.mark.parametrize("missing", [True, False])
def test_a_vocabulary_that_cannot_be_read_is_named(missing: bool, tmp_path: Path, capsys) -> None:
    path = tmp_path / "vocabulary.json"
    if not missing:
        path.write_text('{"names": ["door", "Door"]}')
    assert main(["--vocabulary", str(path), "--output", str(tmp_path / "negatives.json")]) == 1
    error = capsys.readouterr().err
    assert "vocabulary.json" in error and error.count("\n") == 1
    assert not (tmp_path / "negatives.json").exists()


def test_unknown_sources_are_bad_usage(tmp_path: Path) -> None:
    assert main(["--vocabulary", str(tmp_path / "v.json"), "--source", "oracle"]) == 2


CLASSES = [f"thing {letter}" for letter in "abcdefghi"]
KEY = "sk-secret-key"


@pytest.fixture
def openai_flags(tmp_path, monkeypatch):
    """Flags that ask a language model about nine classes, two a request; ``--base-url`` is left to add."""
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    Vocabulary((*CLASSES, "thing a frame"), novel=("thing a frame",)).save(tmp_path / "vocabulary.json")
    files = ["--vocabulary", str(tmp_path / "vocabulary.json"), "--output", str(tmp_path / "out" / "negatives.json")]
    return ["--source", "openai", *files, "--batch-size", "2", "--domain", "office scenes"]


def test_a_language_model_over_http(openai_flags, tmp_path, capsys, caplog):
    """The first request meets a 429 and a time-out; the key reaches the server and nothing else."""
    seen = []

    def respond(headers, request):
        seen.append(headers["Authorization"])
        if len(seen) == 1:
            return 429, {"error": {"message": f"slow down, {KEY}"}}
        if len(seen) == 2:
            time.sleep(1.0)
        return 200, answer(request)

    caplog.set_level("INFO")
    with serve(respond) as address:
        assert main([*openai_flags, "--base-url", address, "--timeout", "0.5"]) == 0
    database = NegativeDatabase.load(tmp_path / "out" / "negatives.json")
    database.validate(Vocabulary.load(tmp_path / "vocabulary.json"))
    assert {item.source for items in database.entries.values() for item in items} == {MODEL}
    assert set(seen) == {f"Bearer {KEY}"} and len(seen) == 2 + 5
    assert "5 requests, 500 tokens in, 250 out, about $0.0037" in caplog.text
    out, err = capsys.readouterr()
    assert "1 related names equal novel names, thing a frame (1)" in out
    record = json.loads((tmp_path / "out" / "negatives.run.json").read_text())
    assert record["config"]["sampling"] == {"model": "gpt-4o", "temperature": 0.0, "seed": 0}
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in written + out + err + caplog.text


def test_a_killed_run_goes_on_without_asking_any_class_twice(openai_flags, tmp_path):
    answered, third = [], threading.Event()
    hold = threading.Event()

    def respond(headers, request):
        if len(answered) == 2 and not hold.is_set():
            third.set()
            hold.wait(60)
            return 500, {}
        answered.append(asked_classes(request))
        return 200, answer(request)

    with serve(respond) as address:
        flags = [*openai_flags, "--base-url", address]
        module = "import sys; from opendas_plugin.commands.generate_negatives import main; sys.exit(main())"
        process = subprocess.Popen([sys.executable, "-c", module, *flags], cwd=ROOT)
        assert third.wait(60)
        process.kill()
        process.wait()
        hold.set()
        assert not (tmp_path / "out" / "negatives.json").exists()
        assert main(flags) == 0
    assert sorted(name for batch in answered for name in batch) == sorted(CLASSES)
    assert set(NegativeDatabase.load(tmp_path / "out" / "negatives.json").entries) == set(CLASSES)


def test_offline_names_in_place_of_answers_end_as_failed(openai_flags, tmp_path, capsys, tiny_backbone):
    output, dumb = tmp_path / "out" / "negatives.json", True

    def respond(headers, request):
        names = asked_classes(request)
        return 200, completion("I would rather not.") if dumb and "thing c" in names else answer(request)

    with serve(respond) as address:
        flags = [
            *openai_flags,
            "--base-url",
            address,
            "--backbone",
            tiny_backbone,
            "--pretrained",
            "random",
            "--device",
            "cpu",
        ]
        assert main(flags) == 1
        (*_, error) = capsys.readouterr().err.splitlines()
        assert "gave no 5 usable names for 2 of 9 classes (thing c, thing d)" in error and str(output) in error
        sources = {name: {item.source for item in own} for name, own in NegativeDatabase.load(output).entries.items()}
        assert {name for name, found in sources.items() if found != {MODEL}} == {"thing c", "thing d"}
        assert sources["thing c"] == {"offline"}
        dumb = False
        assert main(flags) == 0
    assert {item.source for own in NegativeDatabase.load(output).entries.values() for item in own} == {MODEL}


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_refused_key_is_not_repeated(openai_flags, tmp_path, capsys, debug):
    with serve(lambda headers, request: (401, {"error": {"message": f"Incorrect API key: {KEY}"}})) as address:
        assert main([*openai_flags, "--base-url", address, *debug]) == 1
    err = capsys.readouterr().err
    assert "error: the language model 'gpt-4o' did not answer" in err and "Incorrect API key: ***" in err
    assert KEY not in err


def test_without_a_key_the_variable_is_named(openai_flags, monkeypatch, capsys):
    monkeypatch.delenv("OPENAI_API_KEY")
    assert main(openai_flags) == 1
    assert "set the environment variable OPENAI_API_KEY" in capsys.readouterr().err


def test_a_dry_run_prints_the_requests_and_asks_nothing(openai_flags, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("OPENAI_API_KEY")
    assert main([*openai_flags, "--dry-run", "--base-url", "http://127.0.0.1:9/v1"]) == 0
    out = capsys.readouterr().out
    assert out.count('"role": "user"') == 5 and "office scenes" in out
    assert "in all about 5 requests" in out and "nothing was asked" in out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "flags",
    [["--batch-size", "0"], ["--timeout", "0"], ["--retries", "-1"], ["--base-url", "http://me:sk-1@host/v1"]],
)
def test_flags_out_of_range_exit_with_2(openai_flags, flags):
    assert main([*openai_flags, *flags]) == 2


def test_a_dry_run_needs_a_language_model(tmp_path):
    assert main(["--vocabulary", str(tmp_path / "v.json"), "--dry-run"]) == 2
