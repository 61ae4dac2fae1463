"""Related names from a language model, through openai's client: OpenAI itself or a server that speaks its API."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from opendas_plugin.errors import ConfigError, MissingDependencyError, OpenDASError
from opendas_plugin.names import fold_name, spell_name
from opendas_plugin.negatives.database import NAMES_PER_CLASS, OFFLINE, Negative, NegativeDatabase
from opendas_plugin.negatives.questions import AnswerFile, Messages, batches, check, messages
from opendas_plugin.negatives.replies import AS_JSON, AS_SCHEMA, related_names, restate
from opendas_plugin.vocabulary import Vocabulary
from opendas_plugin.wording import counted

KEY = "OPENAI_API_KEY"
ATTEMPTS = 2  # times that a class is asked about before its names are filled up

log = logging.getLogger(__name__)


class LanguageModelError(OpenDASError, ConnectionError):
    """A language model that cannot be reached, or that refuses what it is asked."""


@dataclass(frozen=True)
class Sampling:
    """Which model answers, and how it draws."""

    model: str = "gpt-4o"
    """Language model, by its name on the server."""
    temperature: float | None = 0.0
    """0 for the likeliest answer; None leaves it to the server, as reasoning models demand."""
    seed: int | None = 0
    """Seed of the server's draws, where it takes one; None sends none."""


@dataclass
class Usage:
    """What was asked so far: requests that were answered, and tokens both ways."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def count(self, usage: Any) -> None:
        """Adds the tokens that a completion says it took, if it does."""
        self.tokens_in += getattr(usage, "prompt_tokens", None) or 0
        self.tokens_out += getattr(usage, "completion_tokens", None) or 0

    def describe(self, prices: tuple[float, float]) -> str:
        """The counts and their cost; prices in dollars for a million tokens in and out."""
        cost = (self.tokens_in * prices[0] + self.tokens_out * prices[1]) / 1e6
        return (
            f"{counted(self.requests, 'request')}, {counted(self.tokens_in, 'token')} in, {self.tokens_out:,} out, "
            f"about ${cost:.4f}"
        )


class Chat:
    """A model to ask, with openai's own retries on rate limits, timeouts and server errors.

    The key comes from the environment variable ``OPENAI_API_KEY`` alone and never gets into a message; a server of your
    own (``base_url``) may need none. A server that knows no schema is asked in JSON mode. An error that comes with
    status 200 is the error that it says it is.

    Args:
        sampling: the model and how it draws.
        base_url: the server; None: OpenAI's.
        timeout: seconds to wait for an answer.
        retries: how often a failed request is sent again.
        http_client: what to send requests through, of httpx2; None: openai's own.

    Raises:
        MissingDependencyError: openai is not installed.
        ConfigError: no key is set.
    """

    def __init__(
        self,
        sampling: Sampling,
        *,
        base_url: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        http_client: Any = None,
    ) -> None:
        try:
            import openai
        except ImportError as error:
            raise MissingDependencyError(
                "related names from a language model need openai; pip install 'opendas-plugin[openai]'"
            ) from error
        self._key = os.environ.get(KEY, "")
        if not self._key and base_url is None:
            raise ConfigError(f"set the environment variable {KEY} to your key, or take --source offline")
        self.sampling = sampling
        self.usage = Usage()
        self._schema = True
        own = getattr(openai, "DefaultHttpx2Client", None) or openai.DefaultHttpxClient  # the first since version 3
        through = http_client or own()
        hooks = through.event_hooks
        through.event_hooks = {**hooks, "response": [*hooks.get("response", ()), restate]}
        self._client = openai.OpenAI(
            api_key=self._key or "none",
            base_url=base_url,
            timeout=timeout,
            max_retries=retries,
            http_client=through,
        )

    def __call__(self, chat: Messages) -> tuple[dict[str, list[str]], str]:
        """The related names by the spelling of the class name, none where it cannot be read; and the model's id.

        Raises:
            LanguageModelError: the server cannot be reached or refuses the request.
        """
        import openai

        try:
            return self._ask(chat)
        except openai.OpenAIError as error:
            said = " ".join(str(error).split())
            said = said.replace(self._key, "***") if self._key else said
            raise LanguageModelError(
                f"the language model {self.sampling.model!r} did not answer ({said:.300}); what was answered before is "
                "kept: check the flags and the server, and run again to go on"
            ) from None  # the cause may quote the key

    def _ask(self, chat: Messages) -> tuple[dict[str, list[str]], str]:
        import openai

        try:
            return self._send(chat)
        except (openai.BadRequestError, openai.UnprocessableEntityError):
            if not self._schema:
                raise
            log.info("the server does not take the request with a schema; asking in JSON mode")
            self._schema = False
            return self._send(chat)

    def _send(self, chat: Messages) -> tuple[dict[str, list[str]], str]:
        sampling = {"temperature": self.sampling.temperature, "seed": self.sampling.seed}
        request: dict[str, Any] = {"model": self.sampling.model, "messages": chat}
        request |= {key: value for key, value in sampling.items() if value is not None}
        request["response_format"] = AS_SCHEMA if self._schema else AS_JSON
        self.usage.requests += 1
        completion = self._client.chat.completions.create(**request)
        self.usage.count(completion.usage)
        choice = completion.choices[0]
        content = getattr(choice.message, "content", None)
        names = related_names(content if isinstance(content, str) else None)
        if not names:
            ended = f"it ended by {choice.finish_reason}" if choice.finish_reason != "stop" else "no names in it"
            refused = getattr(choice.message, "refusal", None)
            log.info("an answer that cannot be read: %s", f"refused: {refused}"[:200] if refused else ended)
        return names, completion.model or self.sampling.model


def ask(
    vocabulary: Vocabulary,
    chat: Chat,
    answers: AnswerFile,
    fallback: Callable[[], NegativeDatabase],
    *,
    domain: str,
    batch_size: int = 20,
) -> NegativeDatabase:
    """Asks for the related names of every training class that has no usable answer yet.

    An answer that does not hold is asked for again with what was wrong; the second time its usable names are taken and
    filled up, each name with its source. What is filled up is not kept among the answers, so that it is asked for when
    this is called again; see :func:`filled_up`.

    Args:
        vocabulary: the training names.
        chat: the model.
        answers: earlier answers, and where new ones go.
        fallback: gives ten other related names a class; called once, and only if a class needs it.
        domain: what is annotated, for the question.
        batch_size: classes a request.

    Raises:
        LanguageModelError: the server cannot be reached or refuses a request; the answers before it are kept.
    """
    missing = [name for name in vocabulary.base if not _holds(name, answers, vocabulary)]
    usable: dict[str, tuple[Negative, ...]] = {}
    complaints: dict[str, str] = {}
    with tqdm(
        total=len(vocabulary.base), initial=len(vocabulary.base) - len(missing), unit="class", disable=None
    ) as bar:
        for _ in range(ATTEMPTS):
            for names in batches(missing, batch_size):
                related, model = chat(messages(names, vocabulary, domain, complaints))
                for name in names:
                    good, wrong = check(name, related.get(spell_name(name), []), vocabulary)
                    usable[name] = tuple(Negative(other, model) for other in good)
                    if wrong:
                        complaints[name] = wrong
                        log.info("the answer for %r cannot be used: %s", name, wrong)
                    else:
                        answers.add(name, usable[name])
                        bar.update()
            missing = [name for name in missing if not _holds(name, answers, vocabulary)]
    spare = fallback() if missing else NegativeDatabase({})
    filled = {name: fill(usable[name], spare.entries[name]) for name in missing}
    return NegativeDatabase({name: filled.get(name) or answers.entries[name] for name in vocabulary.base})


def filled_up(database: NegativeDatabase) -> tuple[str, ...]:
    """The classes that have a related name from the offline list."""
    return tuple(name for name, related in database.entries.items() if any(item.source == OFFLINE for item in related))


def fill(own: Sequence[Negative], spare: Sequence[Negative]) -> tuple[Negative, ...]:
    """``own``, and of ``spare`` as many other names as are needed for five."""
    known = {fold_name(item.name) for item in own}
    others = [item for item in spare if fold_name(item.name) not in known]
    return (*own, *others)[:NAMES_PER_CLASS]


def _holds(name: str, answers: AnswerFile, vocabulary: Vocabulary) -> bool:
    """Whether the model has answered for the class, and no name of its answer is a class name today."""
    related = answers.entries.get(name, ())
    own = all(item.source != OFFLINE for item in related)  # files written before kept what was filled up, too
    return own and check(name, [item.name for item in related], vocabulary)[1] is None
