"""Related names from a language model, through openai's client: OpenAI itself or a server that speaks its API."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from opendas_plugin.errors import ConfigError, MissingDependencyError, OpenDASError
from opendas_plugin.names import fold_name, spell_name
from opendas_plugin.negatives.database import NAMES_PER_CLASS, Negative, NegativeDatabase
from opendas_plugin.negatives.questions import AnswerFile, Messages, batches, check, messages
from opendas_plugin.vocabulary import Vocabulary

if TYPE_CHECKING:
    from opendas_plugin.negatives.schema import Answer

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

    def describe(self, prices: tuple[float, float]) -> str:
        """The counts and their cost; prices in dollars for a million tokens in and out."""
        cost = (self.tokens_in * prices[0] + self.tokens_out * prices[1]) / 1e6
        return f"{self.requests} requests, {self.tokens_in} tokens in, {self.tokens_out} out, about ${cost:.4f}"


class Chat:
    """A model to ask, with openai's own retries on rate limits, timeouts and server errors.

    The key comes from the environment variable ``OPENAI_API_KEY`` alone and never gets into a message; a server of your
    own (``base_url``) may need none. A server that knows no schema is asked in JSON mode.

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
        self._client = openai.OpenAI(
            api_key=self._key or "none",
            base_url=base_url,
            timeout=timeout,
            max_retries=retries,
            http_client=http_client,
        )

    def __call__(self, chat: Messages) -> tuple[dict[str, list[str]], str]:
        """The related names by folded class name, none where the answer is malformed; and the exact model's id.

        Raises:
            LanguageModelError: the server cannot be reached or refuses the request.
        """
        import openai

        try:
            answer, model = self._ask(chat)
        except openai.OpenAIError as error:
            said = " ".join(str(error).split())
            said = said.replace(self._key, "***") if self._key else said
            raise LanguageModelError(
                f"the language model {self.sampling.model!r} did not answer ({said:.300}); what was answered before is "
                "kept: check the flags and the server, and run again to go on"
            ) from None  # the cause may quote the key
        classes = [] if answer is None else answer.classes
        return {spell_name(item.name): item.related for item in classes}, model

    def _ask(self, chat: Messages) -> tuple[Answer | None, str]:
        import openai

        try:
            return self._send(chat)
        except (openai.BadRequestError, openai.UnprocessableEntityError):
            if not self._schema:
                raise
            log.info("the server does not take the request with a schema; asking in JSON mode")
            self._schema = False
            return self._send(chat)

    def _send(self, chat: Messages) -> tuple[Answer | None, str]:
        import openai

        from opendas_plugin.negatives.schema import Answer

        sampling = {"temperature": self.sampling.temperature, "seed": self.sampling.seed}
        request: dict[str, Any] = {"model": self.sampling.model, "messages": chat}
        request |= {key: value for key, value in sampling.items() if value is not None}
        completions = self._client.chat.completions
        self.usage.requests += 1
        try:
            if self._schema:
                completion = completions.parse(**request, response_format=Answer)
                answer = completion.choices[0].message.parsed
            else:
                completion = completions.create(**request, response_format={"type": "json_object"})
                answer = Answer.model_validate_json(completion.choices[0].message.content or "")
        # too long, filtered, no JSON, not of the schema, or not the API's form at all
        except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as error:
            log.info("malformed answer: %s", type(error).__name__)
            return None, self.sampling.model
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            log.info("malformed answer: %s", type(error).__name__)
            return None, self.sampling.model
        if completion.usage is not None:
            self.usage.tokens_in += completion.usage.prompt_tokens
            self.usage.tokens_out += completion.usage.completion_tokens
        return answer, completion.model or self.sampling.model


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

    An answer that does not hold is asked for again with what was wrong; the second time its usable names are kept and
    filled up, each name with its source.

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
            missing = [name for name in missing if name not in answers.entries]
        spare = fallback() if missing else NegativeDatabase({})
        for name in missing:
            log.warning(
                "%r: %d of its related names are from the offline list", name, NAMES_PER_CLASS - len(usable[name])
            )
            answers.add(name, fill(usable[name], spare.entries[name]))
            bar.update()
    return NegativeDatabase({name: answers.entries[name] for name in vocabulary.base})


def fill(own: Sequence[Negative], spare: Sequence[Negative]) -> tuple[Negative, ...]:
    """``own``, and of ``spare`` as many other names as are needed for five."""
    known = {fold_name(item.name) for item in own}
    others = [item for item in spare if fold_name(item.name) not in known]
    return (*own, *others)[:NAMES_PER_CLASS]


def _holds(name: str, answers: AnswerFile, vocabulary: Vocabulary) -> bool:
    """Whether there is an answer for the class, and the vocabulary of today has none of its names."""
    related = [item.name for item in answers.entries.get(name, ())]
    return check(name, related, vocabulary)[1] is None
