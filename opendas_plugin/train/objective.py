"""What a stage minimises: a loss over the training names and, in a stage that asks for it, the triplet loss."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.factored import FactoredText, drift_between
from opendas_plugin.model.tower import TowerName
from opendas_plugin.negatives.mining import Candidates, select
from opendas_plugin.train.config import ClassLoss, TripletConfig
from opendas_plugin.train.losses import class_logits, distance, drift, sigmoid_loss, triplet
from opendas_plugin.train.pulls import Encoded, Pull


@dataclass(frozen=True)
class Batch:
    """The part of a step that one process does.

    Args:
        images: uint8 crops (B, S, S, 3), or float features (B, D) of segments that were encoded before.
        labels: (B,) int64 classes.
        rows: which of the global batch's segments these are.
        total: how many the global batch has.
        frozen: the images' features (B, D) without prompts, where they are known.
    """

    images: Tensor
    labels: Tensor
    rows: slice
    total: int
    frozen: Tensor | None = None


class Objective(nn.Module):
    """The loss of a batch as a function of the prompts that are being learnt.

    Args:
        clip: the model; prompts that are not learnt have ``requires_grad`` False.
        texts: the texts of the C training names, then those of the other names of ``candidates``.
        learns: the towers whose prompts are learnt; the other tower's features need no gradient.
        active: the towers whose prompts are at work.
        candidates: the names that may be negatives, for the triplet loss; None leaves it out.
        options: how it is computed.
        consistency: weight of one minus the cosine between the features of ``learns`` and those without prompts.
        pulls: what else is added to the loss.
        loss: over the training names; sigmoid adds the backbone's logit bias.
        autocast: run the towers in bf16 autocast; what is learnt, the features and the losses stay fp32.
    """

    def __init__(
        self,
        clip: OpenDASCLIP,
        texts: Sequence[str],
        learns: Sequence[TowerName],
        active: Sequence[TowerName],
        candidates: Candidates | None = None,
        options: TripletConfig | None = None,
        consistency: float = 0.0,
        pulls: Sequence[Pull] = (),
        loss: ClassLoss = "softmax",
        autocast: bool = False,
    ) -> None:
        super().__init__()
        self.clip = clip
        self.learns = learns
        self.disabled = {tower: tower not in active for tower in ("visual", "text")}
        self.candidates = candidates
        self.options = options or TripletConfig()
        self.consistency = consistency
        self.pulls = pulls
        self.autocast = autocast
        self.tokens = clip.tokenize(list(texts))  # stays on the CPU, where texts are packed
        self.classes = len(candidates.rows) if candidates else len(texts)
        self.loss = loss
        if loss == "sigmoid" and clip.logit_bias is None:
            raise ConfigError(
                f"{clip.backbone.name} has no logit bias, as a SigLIP has, so that `loss` sigmoid has no meaning on "
                "it; take softmax"
            )
        self.columns: tuple[str, ...] = ("loss", "sigmoid" if loss == "sigmoid" else "cross_entropy", "accuracy")
        self.columns += (("triplet", "active") if candidates else ()) + (("drift",) if consistency else ())
        self.columns += tuple(pull.name for pull in pulls)
        self.conditional = clip.is_conditional
        form = clip.config.prompts.form
        if (self.conditional and candidates) or (form in ("conditional", "read_only") and (consistency or pulls)):
            raise ConfigError(
                f"{form} prompts have no features beside plain CLIP's; leave the losses that need them out"
            )
        self.classifier: Tensor | None = None
        if "text" not in learns:  # encoded once, so in full precision
            with torch.no_grad(), clip.prompts_disabled(**self.disabled):
                self.classifier = clip.encode_text(self.tokens[: self.classes]).float()
        self.measured = clip.text_prompts if isinstance(clip.text_prompts, FactoredText) and "text" in learns else None
        if self.measured is not None:
            self.measured.drift.zero_()
        if "text" in learns and (consistency or self.measured is not None):
            self.frozen_text = self._frozen(self.encode_texts, torch.arange(self.classes))

    def forward(self, batch: Batch, weight: float) -> tuple[Tensor, Tensor]:
        """The loss of this process's part of a batch.

        Args:
            batch: the part.
            weight: of the triplet loss.

        Returns:
            The part's contribution to the mean loss over the global batch, and likewise (len(columns),) what is logged.
        """
        image = self.encode_image(batch.images)
        text, negatives = self._encode_chosen(image.detach(), batch)
        if self.measured is not None:
            text = unit(text, dim=-1) - drift_between(text[: self.classes], self.frozen_text)
        logits = self._logits(image, text)
        entropy = self._class_loss(logits, batch.labels)
        loss = entropy
        numbers = [entropy, (logits.argmax(dim=-1) == batch.labels).float().mean()]
        if negatives is not None:
            own = self._distance(image, text[batch.labels])
            places, real = negatives  # (B, k)
            other = self._distance(image[:, None], text[places])
            losses = triplet(own[:, None], other, self.options.margin) * real
            loss = entropy + weight * losses.mean()
            numbers += [losses.mean(), (losses > 0).float().mean()]
        if self.consistency:
            moved = self._drift(image, text[: self.classes], batch)
            loss = loss + self.consistency * moved
            numbers.append(moved)
        if self.pulls:
            found = self._encoded(image, text[: self.classes], logits, batch)
            added = [pull(found) for pull in self.pulls]
            loss = loss + sum(added)
            numbers += added
        share = len(batch.labels) / batch.total
        return loss * share, torch.stack([loss, *numbers]).detach() * share

    def encode_image(self, images: Tensor) -> Tensor:
        """Features (B, D) fp32 of crops; what are features already are given back."""
        if images.is_floating_point():
            return images
        with self._tower("visual"):
            return self.clip.encode_image(self.clip.pixels.normalise(images)).float()

    def encode_texts(self, rows: Tensor) -> Tensor:
        """Features (N, D) fp32 of the names at ``rows`` (N,) of the texts."""
        return self.encode_tokens(self.tokens[rows])

    @torch.no_grad()
    def finish(self) -> None:
        """Keeps in the CLIP what is measured of its features once it has learnt: the drift of its texts."""
        if self.measured is not None:
            self.measured.measure(self.encode_texts(torch.arange(self.classes)), self.frozen_text)

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """Features (N, D) fp32 of token ids (N, L)."""
        with self._tower("text"):
            return self.clip.encode_text(tokens).float()

    def _logits(self, image: Tensor, text: Tensor) -> Tensor:
        """(B, C) of the classes; where each image has its own features of the texts, ``text`` is not read."""
        if not self.conditional:
            return class_logits(image, text[: self.classes], self.clip.logit_scale.exp())
        with self._tower("text"):
            return self.clip.logit_scale.exp() * self.clip.classifier(self.tokens)(image)

    def _class_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        bias = self.clip.logit_bias
        if self.loss == "softmax" or bias is None:  # which __init__ refuses
            return cross_entropy(logits, labels)
        return sigmoid_loss(logits, labels, bias)

    def _encoded(self, image: Tensor, text: Tensor, logits: Tensor, batch: Batch) -> Encoded:
        frozen = functools.partial(self._frozen_images, batch)
        return Encoded(image, text, logits, self.clip.logit_scale.exp(), frozen, self.encode_tokens)

    def _frozen_images(self, batch: Batch) -> Tensor:
        return self._frozen(self.encode_image, batch.images) if batch.frozen is None else batch.frozen

    def _drift(self, image: Tensor, text: Tensor, batch: Batch) -> Tensor:
        """One minus the cosine to the features without prompts, the mean over what is learnt."""
        moved = image.new_zeros(())
        if "visual" in self.learns:
            moved = moved + drift(image, self._frozen_images(batch)).mean()
        if "text" in self.learns:
            moved = moved + drift(text, self.frozen_text).mean()
        return moved

    @torch.no_grad()
    def _frozen(self, encode: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """Features (N, D) fp32 without any prompts."""
        with self.clip.prompts_disabled():
            return encode(inputs)

    def _encode_chosen(self, image: Tensor, batch: Batch) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Features of all classes and of the chosen negatives, where the negatives are among them, and which are real.

        Only chosen names are encoded with gradient, which is the gradient of encoding all; together with the classes,
        so that what their texts have in common is computed once.
        """
        classes = torch.arange(self.classes)
        if self.conditional:
            return image.new_empty(0), None
        if self.candidates is None:
            return self.encode_texts(classes) if self.classifier is None else self.classifier, None
        chosen, real = self._mine(self.candidates.rows[batch.labels.cpu()], image, batch)
        others = chosen[chosen >= self.classes].unique()
        places = torch.where(chosen < self.classes, chosen, self.classes + torch.searchsorted(others, chosen))
        text = self.encode_texts(torch.cat([classes, others]))
        return text, (places.to(image.device), real.to(image.device))

    @torch.no_grad()
    def _mine(self, rows: Tensor, image: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The negatives (B, k) of each image among its candidates (B, K) by the current prompts, and which are real."""
        asked = torch.cat([batch.labels.cpu()[:, None], rows.clamp_min(0)], dim=1)
        seen, places = asked.unique(return_inverse=True)
        text = self.encode_texts(seen)
        distances = self._distance(image[:, None], text[places.to(image.device)]).cpu()  # (B, 1 + K)
        randoms = torch.rand(batch.total, rows.shape[1])[batch.rows]
        options = self.options
        chosen, real = select(options.mining, distances[:, 0], distances[:, 1:], rows >= 0, options.negatives, randoms)
        return rows.gather(1, chosen).clamp_min(0), real

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        return distance(a, b, self.options.distance, self.options.normalize)

    @contextlib.contextmanager
    def _tower(self, tower: TowerName) -> Iterator[None]:
        """Runs a tower with the prompts that are at work, in its precision, with gradient where it learns."""
        device = self.clip.logit_scale.device
        with (
            self.clip.prompts_disabled(**self.disabled),
            torch.set_grad_enabled(torch.is_grad_enabled() and tower in self.learns),
            torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.autocast),
        ):
            yield
