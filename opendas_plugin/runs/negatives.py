"""Five related names for every training class, to read, edit and train with."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from opendas_plugin.errors import ConfigError
from opendas_plugin.files import require_writable, write_json
from opendas_plugin.model.devices import pick_device
from opendas_plugin.model.naming import require_weights
from opendas_plugin.negatives.database import NAMES_PER_CLASS, NegativeDatabase
from opendas_plugin.negatives.language_model import KEY, Chat, LanguageModelError, Sampling, Usage, ask, filled_up
from opendas_plugin.negatives.questions import AnswerFile, batches, estimate_tokens, messages
from opendas_plugin.negatives.words import word_list
from opendas_plugin.runs.models import say_model, unused_seed
from opendas_plugin.runs.record import RunRecord, plain
from opendas_plugin.runs.run import INLINE, Run, function_of
from opendas_plugin.stamps import Inputs
from opendas_plugin.vocabulary import Vocabulary

if TYPE_CHECKING:
    pass


logger = logging.getLogger(__name__)

MODEL_ONLY = ("domain", "base_url", "batch_size", "timeout", "retries", "prices", "dry_run")
"""Settings that only a language model looks at."""


@dataclass(frozen=True)
class GenerateNegatives(Run[NegativeDatabase]):
    """Finds five related names for every training class, none of them a training class itself.

    Where a language model gives no usable names for a class, the file gets offline ones, marked so, and this ends as
    failed; run again, it asks about these classes alone.
    """

    _: KW_ONLY
    vocabulary: Path
    """vocabulary.json that opendas-prepare wrote."""
    output: Path = Path("negatives.json")
    """File to write; how it was made is written beside it (<name>.run.json, <name>.inputs.json), and a language model's
    answers as they come as <name>.answers.jsonl: run again to go on after an interruption."""
    source: Literal["offline", "openai"] = "offline"
    """offline: the nearest words by the backbone's text tower, in ImageNet's and the scene datasets' names. openai: a
    language model; its key is read from the environment variable OPENAI_API_KEY alone."""
    domain: str = "everyday scenes"
    """What is annotated, for the question to a language model: names that an annotator of DOMAIN could confuse."""
    sampling: Sampling = field(default_factory=Sampling, metadata=INLINE)
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
    """open_clip tag, weight file, or random."""
    tokenizer: str | None = None
    """Folder with the files of the backbone's Hugging Face tokenizer, where it has one (SigLIP, CLIPA) and that is not
    fetched."""
    backbone_seed: int = 0
    """Seed of the backbone's random weights, where it has no pretrained ones."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        require_weights(self.backbone, self.pretrained)
        for name in ("batch_size", "timeout"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"`{name}` must be above 0, got {getattr(self, name)}")
        if self.retries < 0:
            raise ConfigError(f"`retries` must be 0 or more, got {self.retries}")
        if self.base_url is not None and "@" in self.base_url:
            raise ConfigError(f"`base_url` must not hold a password; set the environment variable {KEY}")

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        found = unused_seed(self.backbone, self.pretrained)
        if self.source == "openai":
            return found
        names = ("sampling", *(field.name for field in fields(Sampling)), *MODEL_ONLY)
        return {**found, **dict.fromkeys(names, "unless a language model is asked, with the `source` openai")}

    def work(self, record: RunRecord) -> NegativeDatabase:
        """Makes the database, writes it and returns it."""
        vocabulary = Vocabulary.load(self.vocabulary)
        if self.dry_run:
            return NegativeDatabase({})
        require_writable(self.output.parent)
        database = self.from_words(vocabulary) if self.source == "offline" else self.from_model(vocabulary)
        database.validate(vocabulary)
        database.save(self.output)
        record.write(self.output.parent, f"{self.output.stem}.run.json")
        write_json(inputs_file(self.output), self.inputs().record())
        if self.source == "openai":
            self.say_unanswered(database)
        return database

    def inputs(self) -> Inputs:
        """What decides over the names: the vocabulary's, and the settings."""
        vocabulary = Vocabulary.load(self.vocabulary)
        names = ("source", "domain", "base_url", "backbone", "pretrained", "backbone_seed")
        given = () if self.tokenizer is None else ("tokenizer",)  # a setting that earlier files do not have
        settings = {f"`{name}`": getattr(self, name) for name in (*names, *given)}
        base = {"the training names": list(vocabulary.base), "the novel names": list(vocabulary.novel)}
        weights = {name: Path(name) for name in (self.backbone, self.pretrained) if name and Path(name).is_file()}
        return Inputs(weights, {**settings, **base, "sampling": plain(self.sampling)})

    def say_unanswered(self, database: NegativeDatabase) -> None:
        """Raises LanguageModelError where names stand in for answers that did not come; the file is there already."""
        without = filled_up(database)
        if without:
            shown = ", ".join(without[:5]) + ("" if len(without) <= 5 else ", ...")
            raise LanguageModelError(
                f"the language model {self.sampling.model!r} gave no {NAMES_PER_CLASS} usable names for {len(without)} "
                f"of {len(database.entries)} classes ({shown}); {self.output} has offline names for them, marked so: "
                "run again to ask about these classes alone, or choose another model"
            )

    def from_words(self, vocabulary: Vocabulary, count: int = NAMES_PER_CLASS) -> NegativeDatabase:
        """The nearest words by the frozen text tower."""
        from opendas_plugin.model.adapted_clip import OpenDASCLIP
        from opendas_plugin.negatives.generate import offline

        device = pick_device(self.device)
        say_model(device, self.backbone, self.pretrained, self.backbone_seed)
        clip = OpenDASCLIP.from_backbone(
            self.backbone, self.pretrained, device=device, seed=self.backbone_seed, tokenizer=self.tokenizer
        )
        return offline(vocabulary, clip, word_list(), count)

    def from_model(self, vocabulary: Vocabulary) -> NegativeDatabase:
        """A language model's names; the cost is logged, however it ends."""
        chat = Chat(self.sampling, base_url=self.base_url, timeout=self.timeout, retries=self.retries)
        settings = {**plain(self.sampling), "domain": self.domain, "base_url": self.base_url}
        answers = AnswerFile(self.output.with_name(f"{self.output.stem}.answers.jsonl"), settings)
        try:
            return ask(
                vocabulary,
                chat,
                answers,
                lambda: self.from_words(vocabulary, count=2 * NAMES_PER_CLASS),
                domain=self.domain,
                batch_size=self.batch_size,
            )
        finally:
            logger.info("%s: %s", self.sampling.model, chat.usage.describe(self.prices))

    def requests(self) -> str:
        """What would be asked, and about how many tokens that takes."""
        vocabulary, total, lines = Vocabulary.load(self.vocabulary), [0, 0], []
        asked = batches(vocabulary.base, self.batch_size)
        for names in asked:
            chat = messages(names, vocabulary, self.domain)
            tokens = estimate_tokens(chat, len(names))
            lines.append(json.dumps({"model": self.sampling.model, "messages": chat}, indent=2, ensure_ascii=False))
            lines.append(f"about {tokens[0]} tokens in, {tokens[1]} out")
            total = [total[0] + tokens[0], total[1] + tokens[1]]
        usage = Usage(len(asked), *total)
        return "\n".join([*lines, f"in all about {usage.describe(self.prices)}; nothing was asked"])


def inputs_file(output: Path) -> Path:
    """The file that says what a file of related names was made from."""
    return output.with_name(f"{output.stem}.inputs.json")


generate_negatives = function_of(GenerateNegatives, "generate_negatives")
