"""The text side of naming: names as text features, and what image features say of them."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.methods.zero_shot import ensemble_features
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.encoder import cosines
from opendas_plugin.names import NameTable, check_names
from opendas_plugin.support import Support
from opendas_plugin.vocabulary import DEFAULT_TEMPLATE, Vocabulary, check_template, fill
from opendas_plugin.wording import counted

logger = logging.getLogger(__name__)

Names: TypeAlias = Sequence[str] | Mapping[str, str | Sequence[str]] | Vocabulary
"""Names that compete; or each name with its synonyms; or a vocabulary."""
Template: TypeAlias = str | Sequence[str]

SAME = 0.9999
"""The cosine of two names' text features above which the backbone does not tell the names apart."""


class TextClassifier:
    """Names encoded as texts, once, and the cosines of image features with them.

    Attributes:
        classes: the N names, in order.
        template: the templates that their texts were made by.
        support: what labelled segments say of them; None: nothing.
    """

    def __init__(
        self,
        clip: OpenDASCLIP,
        names: Names,
        template: Template | None = None,
        *,
        ensemble: bool = False,
        calibrated: bool = False,
    ) -> None:
        """Encodes the names; the arguments are those of :class:`~opendas_plugin.labeller.Labeller`.

        Raises:
            DataError: no name, an empty or repeated one, a text that does not fit the context, or a template without
                one ``{}``.
            ConfigError: settings that this CLIP cannot follow.
        """
        self.clip, self.ensemble, self.calibrated = clip, ensemble, calibrated
        if calibrated and not clip.config.calibration and "calibration" not in clip.config.training:
            raise ConfigError("this CLIP holds no calibration; train its adapter with `calibration_folds`")
        self.classes, self._words = _read_names(names)
        self.template = self._choose_template(template, names)
        self._texts = [[fill(text, word) for text in self.template for word in own] for own in self._words]
        self._tokens = clip.tokenize([text for own in self._texts for text in own])
        self._handicap = self._base_handicap() if calibrated else torch.zeros(())
        self.support: Support | None = None
        self._kept: tuple[Any, Tensor] | None = None
        if not clip.is_conditional:
            _warn_of_equal(self.features, self.classes)
        elif len(self._tokens) > len(self.classes):
            raise ConfigError(f"the {clip.config.method} adapter takes one text a name: no synonyms or templates")

    def with_support(self, support: Support | None) -> TextClassifier:
        """The same names by their words and labelled segments, or by their words alone.

        Raises:
            ConfigError: an adapter whose text features depend on the image (CoCoOp).
            DataError: features of another width.
        """
        if support is not None and self.clip.is_conditional:
            raise ConfigError(
                f"the {self.clip.config.method} adapter has no text features to mix with; leave support out"
            )
        if support is not None and support.features.shape[1] != self.clip.feature_width:
            raise DataError(f"expected features of width {self.clip.feature_width}, got {support.features.shape[1]}")
        other = copy.copy(self)
        other.support, other._kept = support, None
        return other

    @torch.no_grad()
    def cosines(self, features: Tensor) -> Tensor:
        """Compares image features (B, D) of any length with the names: (B, N) float32 on the CPU."""
        features = features.to(self.clip.logit_scale.device).float()
        if self.clip.is_conditional and not self.ensemble:
            return self.clip.classifier(self._tokens)(features).float().cpu()
        return cosines(features, self.features).cpu()

    def choose(self, cosines: Tensor) -> Tensor:
        """The place (B,) of the name that each row of cosines (B, N) speaks for."""
        return (cosines - self._handicap).argmax(dim=-1)

    def probabilities(self, cosines: Tensor) -> Tensor:
        """What the model makes (B, N) of cosines (B, N) at its own scale.

        That is their softmax, or where it was trained with a bias and a sigmoid (SigLIP) the sigmoid of each: then they
        need not add up to 1, and all are low where no name fits.
        """
        bias = self.clip.logit_bias
        return self.softmax(cosines) if bias is None else torch.sigmoid(self._logits(cosines) + float(bias.detach()))

    def softmax(self, cosines: Tensor) -> Tensor:
        """The softmax (B, N) over the names of cosines (B, N) at CLIP's own scale, of whatever model."""
        return torch.softmax(self._logits(cosines), dim=-1)

    @property
    def features(self) -> Tensor:
        """The names' features (N, D), float32 of unit length; encoded again where the adapter was switched or changed.

        Raises:
            AdapterError: an adapter whose text features depend on the image (CoCoOp).
        """
        key, kept = self.clip.text_key(), self._kept
        if kept is None or kept[0] != key:
            kept = self._kept = key, self._encode()
        return kept[1]

    def _logits(self, cosines: Tensor) -> Tensor:
        return float(self.clip.logit_scale.detach().exp()) * (cosines - self._handicap)

    def _choose_template(self, given: Template | None, names: Names) -> tuple[str, ...]:
        """The caller's, else the adapter's, else the vocabulary's, else the default."""
        if self.ensemble and given is not None:
            raise ConfigError("ensemble has templates of its own; leave template out")
        if self.ensemble and self.clip.is_saved:
            raise ConfigError("ensemble is for plain CLIP; leave the adapter out")
        if given is None and self.clip.is_saved:
            given = self.clip.config.template
        elif given is None:
            given = names.template if isinstance(names, Vocabulary) else DEFAULT_TEMPLATE
        templates = (given,) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
        for template in templates:
            check_template(template)
        if not templates:
            raise DataError("expected a template, got none")
        return templates

    def _encode(self) -> Tensor:
        """Whatever mode of torch the caller is in, others use these features too."""
        device = self.clip.logit_scale.device.type
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(device, enabled=False):
            if self.ensemble:
                features = ensemble_features(self.clip, [word for own in self._words for word in own])
                names = _means(features, [len(own) for own in self._words])
            else:
                features = self.clip.encode_text(self._tokens, normalize=True).float()
                names = _means(features, [len(own) for own in self._texts])
            return names if self.support is None else self.support.mix(names, self.classes)

    def _base_handicap(self) -> Tensor:
        """What calibration takes from each name's cosine, (N,): the adapter's constant for its training names, else 0.

        Only the adapter's own list of base names is needed for it, which every adapter holds.
        """
        config = self.clip.config
        known = NameTable(config.base_names).find_all(self.classes)
        return torch.tensor([config.calibration * (known[name] is not None) for name in self.classes])


def _read_names(names: Names) -> tuple[tuple[str, ...], list[list[str]]]:
    """The names, and the words of each."""
    if isinstance(names, str):
        raise DataError(f"expected several names, got the text {names!r}; put it into a list")
    names = names.names if isinstance(names, Vocabulary) else names
    if isinstance(names, set | frozenset) or not isinstance(names, Iterable):  # a set has another order in each process
        raise DataError(f"expected names in a list, a mapping or a vocabulary, got {type(names).__name__}")
    classes = tuple(names)
    if not classes:
        raise DataError("expected names to choose from, got none")
    _check_texts([name for name in classes if not isinstance(name, str)], "names")
    check_names(classes, "names")
    if not isinstance(names, Mapping):
        return classes, [[name] for name in classes]
    words = []
    for name, given in names.items():
        synonyms = [given] if isinstance(given, str) else list(given) if isinstance(given, Sequence) else [given]
        _check_texts(synonyms, f"synonyms of {name!r}")
        words.append(list(dict.fromkeys([name, *synonyms])))
    return classes, words


def _check_texts(texts: Sequence[Any], what: str) -> None:
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{what}: expected texts, got {text!r}")


def _means(features: Tensor, counts: Sequence[int]) -> Tensor:
    """The mean of each run of rows of unit length, of unit length; a single row is its own to the bit."""
    runs = features.split(list(counts))
    return torch.cat([run if len(run) == 1 else unit(run.mean(dim=0, keepdim=True), dim=-1) for run in runs])


def _warn_of_equal(features: Tensor, names: Sequence[str]) -> None:
    pairs = ((features @ features.T).triu(diagonal=1) > SAME).nonzero().tolist()
    if pairs:
        first, second = (names[place] for place in pairs[0])
        others = f" (and {counted(len(pairs) - 1, 'more pair')})" if pairs[1:] else ""
        logger.warning(
            "%r and %r%s have the same text feature, to a cosine of %g: which of them a segment gets is chance",
            first,
            second,
            others,
            SAME,
        )
