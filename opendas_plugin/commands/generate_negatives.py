"""``generate_negatives.py``: five related names for every training class, to read, edit and train with."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from opendas_plugin.commands.common import (
    Options,
    RunRecord,
    UsageError,
    open_output,
    parse,
    pick_device,
    plain,
    run_command,
)
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.negatives.database import NAMES_PER_CLASS, NegativeDatabase
from opendas_plugin.negatives.generate import offline
from opendas_plugin.negatives.language_model import KEY, Chat, Sampling, Usage, ask
from opendas_plugin.negatives.questions import AnswerFile, batches, estimate_tokens, messages
from opendas_plugin.negatives.words import word_list
from opendas_plugin.vocabulary import Vocabulary

PROGRAM = "opendas-negatives"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class GenerateNegatives(Options):
    """Finds five related names for every training class, none of them a training class itself."""

    vocabulary: Path
    """vocabulary.json that prepare_data.py wrote."""
    output: Path = Path("negatives.json")
    """File to write; how it was made is written beside it as <name>.run.json, and a language model's answers as they
    come as <name>.answers.jsonl: run again to go on after an interruption."""
    source: Literal["offline", "openai"] = "offline"
    """offline: the nearest words by the backbone's text tower, in ImageNet's and the scene datasets' names. openai: a
    language model; its key is read from the environment variable OPENAI_API_KEY alone."""
    domain: str = "everyday scenes"
    """What is annotated, for the question to a language model: names that an annotator of DOMAIN could confuse."""
    sampling: Annotated[Sampling, tyro.conf.arg(name="")] = field(default_factory=Sampling)
    """The language model."""
    base_url: str | None = None
    """Address of a server that speaks OpenAI's API (vLLM, Ollama), such as http://localhost:11434/v1."""
    batch_size: int = 20
    """Classes that a language model is asked about at once."""
    timeout: float = 60.0
    """Seconds to wait for an answer."""
    retries: int = 4
    """How often a request that failed is sent again."""
    prices: tuple[float, float] = (2.5, 10.0)
    """Dollars for a million tokens in and out, for the cost in the log; the default was gpt-4o's at the end of 2024."""
    dry_run: bool = False
    """Print the requests to a language model and their tokens, about, and ask nothing."""
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
    check_flags(options)
    vocabulary = Vocabulary.load(options.vocabulary)
    if options.dry_run:
        print_requests(options, vocabulary)
        return
    open_output(options.output.parent)
    database = from_words(options, vocabulary) if options.source == "offline" else from_model(options, vocabulary)
    database.validate(vocabulary)
    database.save(options.output)
    record.write(options.output.parent, f"{options.output.stem}.run.json")
    print(f"{options.output}: related names of {len(vocabulary.base)} classes, source {options.source}")
    if leaks := database.leaks(vocabulary):
        print(describe_leaks(leaks))


def check_flags(options: GenerateNegatives) -> None:
    """Raises UsageError for values out of range, and for a password in the address, which would be written down."""
    for flag in ("batch_size", "timeout"):
        if getattr(options, flag) <= 0:
            raise UsageError(f"--{flag.replace('_', '-')} must be above 0, got {getattr(options, flag)}")
    if options.retries < 0:
        raise UsageError(f"--retries must be 0 or more, got {options.retries}")
    if options.dry_run and options.source != "openai":
        raise UsageError("--dry-run prints what a language model would be asked; give --source openai with it")
    if options.base_url is not None and "@" in options.base_url:
        raise UsageError(f"--base-url must not hold a password; set the environment variable {KEY}")


def from_words(options: GenerateNegatives, vocabulary: Vocabulary, count: int = NAMES_PER_CLASS) -> NegativeDatabase:
    """The nearest words by the frozen text tower."""
    device = pick_device(options.device)
    clip = OpenDASCLIP.from_backbone(options.backbone, options.pretrained, device=device, seed=options.backbone_seed)
    return offline(vocabulary, clip, word_list(), count)


def from_model(options: GenerateNegatives, vocabulary: Vocabulary) -> NegativeDatabase:
    """A language model's names; the cost is logged, however it ends."""
    chat = Chat(options.sampling, base_url=options.base_url, timeout=options.timeout, retries=options.retries)
    settings = {**plain(options.sampling), "domain": options.domain, "base_url": options.base_url}
    answers = AnswerFile(options.output.with_name(f"{options.output.stem}.answers.jsonl"), settings)
    try:
        return ask(
            vocabulary,
            chat,
            answers,
            lambda: from_words(options, vocabulary, count=2 * NAMES_PER_CLASS),
            domain=options.domain,
            batch_size=options.batch_size,
        )
    finally:
        logger.info("%s: %s", options.sampling.model, chat.usage.describe(options.prices))


def print_requests(options: GenerateNegatives, vocabulary: Vocabulary) -> None:
    """Prints what would be asked, and about how many tokens that takes."""
    total = [0, 0]
    for names in batches(vocabulary.base, options.batch_size):
        chat = messages(names, vocabulary, options.domain)
        tokens = estimate_tokens(chat, len(names))
        print(json.dumps({"model": options.sampling.model, "messages": chat}, indent=2, ensure_ascii=False))
        print(f"about {tokens[0]} tokens in, {tokens[1]} out")
        total = [total[0] + tokens[0], total[1] + tokens[1]]
    usage = Usage(len(batches(vocabulary.base, options.batch_size)), *total)
    print(f"in all about {usage.describe(options.prices)}; nothing was asked")


def describe_leaks(leaks: Mapping[str, int], dropped: bool = False) -> str:
    """The report of related names that equal novel names, by novel name and count."""
    names = ", ".join(f"{name} ({count})" for name, count in leaks.items())
    fate = "dropped: the result has used evaluation names" if dropped else "kept (--drop-novel leaves them out)"
    return f"{sum(leaks.values())} related names equal novel names, {names}, and are {fate}"
