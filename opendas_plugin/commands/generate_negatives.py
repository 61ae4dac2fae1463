"""``generate_negatives.py``: five related names for every training class, to read, edit and train with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from opendas_plugin.commands.common import Options, RunRecord, open_output, parse, pick_device, run_command
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.negatives.generate import offline
from opendas_plugin.negatives.words import word_list
from opendas_plugin.vocabulary import Vocabulary

PROGRAM = "opendas-negatives"


@dataclass(frozen=True, kw_only=True)
class GenerateNegatives(Options):
    """Finds five related names for every training class, none of them a training class itself."""

    vocabulary: Path
    """vocabulary.json that prepare_data.py wrote."""
    output: Path = Path("negatives.json")
    """File to write; how it was made is written beside it as <name>.run.json."""
    source: Literal["offline"] = "offline"
    """offline: the nearest words by the backbone's text tower, in ImageNet's and the scene datasets' names."""
    backbone: str = "office-tiny"
    """open_clip model name, OpenAI-format file, or office-tiny."""
    pretrained: str | None = None
    """open_clip tag or weight file."""
    backbone_seed: int = 0
    """Seed of the backbone's random weights, where it has no pretrained ones."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(generate_negatives, argv)


def generate_negatives(argv: Sequence[str]) -> None:
    """Makes the database and says what in it equals names that only evaluation knows."""
    options = parse(GenerateNegatives, argv, prog=PROGRAM)
    record = RunRecord(PROGRAM, argv, options)
    device = pick_device(options.device)
    vocabulary = Vocabulary.load(options.vocabulary)
    open_output(options.output.parent)
    clip = OpenDASCLIP.from_backbone(options.backbone, options.pretrained, device=device, seed=options.backbone_seed)
    database = offline(vocabulary, clip, word_list())
    database.validate(vocabulary)
    database.save(options.output)
    record.write(options.output.parent, f"{options.output.stem}.run.json")
    print(f"{options.output}: related names of {len(vocabulary.base)} classes, source {options.source}")
    if leaks := database.leaks(vocabulary):
        print(describe_leaks(leaks))


def describe_leaks(leaks: Mapping[str, int], dropped: bool = False) -> str:
    """The report of related names that equal novel names, by novel name and count."""
    names = ", ".join(f"{name} ({count})" for name, count in leaks.items())
    fate = "dropped: the result has used evaluation names" if dropped else "kept (--drop-novel leaves them out)"
    return f"{sum(leaks.values())} related names equal novel names, {names}, and are {fate}"
