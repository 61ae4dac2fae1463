"""The switch: an adapter, the calls that it answers in a program, and what it noted of each."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from opendas_plugin.errors import AdapterError, BackboneError
from opendas_plugin.model import adapter as folders
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.adapter_backbone import require_same
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.model.config import BackboneConfig, Interpolation
from opendas_plugin.model.interfaces import OpenAIView
from opendas_plugin.model.transformers_view import TransformersCLIP
from opendas_plugin.switch.adapted import as_open_clips, put_on, write_weights
from opendas_plugin.switch.choice import WARN, Choice
from opendas_plugin.switch.processors import Processors
from opendas_plugin.switch.reloading import Fingerprint, Watch, fingerprint
from opendas_plugin.switch.saying import say
from opendas_plugin.switch.transformers_models import as_open_clips as of_transformers
from opendas_plugin.switch.transformers_models import write_back

FULL = ("fp32", "amp", "amp_bf16", "amp_bfloat16", None)
"""open_clip's names of precisions that leave weights as they are."""


@dataclass
class Switch(Choice):
    """Answers a program's calls for a CLIP with the adapted one, where it asks for the adapter's backbone.

    Attributes:
        switched: what was asked for and adapted.
        passed: what was asked for and is another model, with the first digits of its weights' hash.
        parts: single towers that were asked for, on which no adapter is put.
    """

    switched: list[str] = field(default_factory=list)
    passed: dict[str, str] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    note: Callable[[str, str], None] = lambda kind, name: None

    @property
    def is_weights(self) -> bool:
        """Whether the adapter is weights alone, which any model of its backbone can hold."""
        config = self.config
        tokens = config.prompts.visual_tokens or config.prompts.text_tokens
        return not tokens and not config.cache.entries and config.interpolation == Interpolation()

    @functools.cached_property
    def _processors(self) -> Processors:
        return Processors(self.config.backbone_facts)

    def _models(self) -> str:
        return "+".join([*(["adapted"] if self.switched else []), *sorted({*self.passed.values()})]) or "none"

    def create_model(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """open_clip's ``create_model``: what it returns, adapted where it is the backbone."""
        asked = inspect.signature(original).bind(*args, **kwargs)
        asked.apply_defaults()
        options = asked.arguments
        name = "/".join(str(options[key]) for key in ("model_name", "pretrained") if options.get(key))
        scripted, options["jit"] = options["jit"], False
        model = original(*asked.args, **asked.kwargs)
        adapted = self._look_at_new(model, name, original, asked, rounded=options["precision"] not in FULL)
        if scripted and adapted and not self.is_weights:
            raise AdapterError(f"{name}: a model with an adapter of tokens cannot be scripted; leave jit=True out")
        return torch.jit.script(model) if scripted else model

    def load_openai_model(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """open_clip's ``load_openai_model``: what it returns, adapted where it is the backbone."""
        asked = inspect.signature(original).bind(*args, **kwargs)
        asked.apply_defaults()
        name = f"{asked.arguments['name']}/openai"
        model = original(*asked.args, **asked.kwargs)
        self._look_at_new(model, name, original, asked, rounded=model.text_projection.dtype != torch.float32)
        return model

    def clip_load(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``clip.load`` of OpenAI's package: the model adapted where it is the backbone, and its preprocessing."""
        asked = inspect.signature(original).bind(*args, **kwargs)
        asked.apply_defaults()
        if asked.arguments.get("jit"):
            asked.arguments["jit"] = False
            say("clip.load is asked for a scripted model (jit=True), which no adapter fits: it is left out")
        model, preprocess = original(*asked.args, **asked.kwargs)
        name = str(asked.arguments["name"])
        if self.is_backbone(model, name):
            model = self.adapt_openais(model, name)
        return model, preprocess

    def from_pretrained(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``from_pretrained`` of transformers' two classes: what it returns, adapted where it is the backbone."""
        model, name = original(*args, **kwargs), str(args[0] if args else kwargs["pretrained_model_name_or_path"])
        plain = model
        if model.dtype != torch.float32:  # the hash is of the weights as they were before they were rounded
            plain = original(*args, **{**kwargs, "dtype": torch.float32})
        facts = self.config.backbone_facts
        try:
            plain = of_transformers(plain, facts.preprocessing if facts else {}, name)
        except (BackboneError, KeyError, ValueError) as error:
            say("%s stays as it is: it is no CLIP that an adapter fits (%s)", name, error)
            return model
        return self.adapt_transformers(model, plain, name) if self.is_backbone(plain, name) else model

    def part(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``from_pretrained`` of a single tower of transformers: as it is, which is said once."""
        model, name = original(*args, **kwargs), str(args[0] if args else kwargs["pretrained_model_name_or_path"])
        part = f"{type(model).__name__} of {name}"
        if part not in self.parts:
            say("%s is a single tower, on which no adapter is put: it stays as it is", part)
            self.parts.append(part)
            self.note("passed", part)
        return model

    def processor(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``from_pretrained`` of an image processor of transformers: what it returns, with the adapter's statistics."""
        processor = original(*args, **kwargs)
        self._processors.add(processor, str(args[0] if args else kwargs["pretrained_model_name_or_path"]))
        return processor

    def adapt_transformers(self, model: Any, plain: Any, name: str) -> Any:
        """Returns a model of transformers with the adapter: itself, or for tokens a stand-in for it."""
        self._require_same(plain)
        if not self.is_weights:
            clip = self._clip(plain.to(model.device)).to(model.dtype)
            model = TransformersCLIP(clip.plain() if self.identity else clip).train(model.training)
        elif not self.identity:
            write_back(model, self._clip(plain).merged_weights(), plain, name)
        self._processors.adapted(name)
        self._switched(name)
        return model

    def is_backbone(self, model: nn.Module, name: str) -> bool:
        """Whether a model has the weights that the adapter was learnt on; another is noted, and said once."""
        found, wanted = backbone_sha256(model), self.config.backbone_sha256
        if found == wanted:
            return True
        if name not in self.passed:
            say(
                "%s has weights %s, not those that %s was learnt on (%s, %s): it stays as it is",
                name, found[:12], self.folder, self.config.backbone, wanted[:12],
            )  # fmt: skip
        self.passed[name] = found[:12]
        self.note("passed", f"{name} ({found[:12]})")
        return False

    def adapt(self, model: Any, plain: Any, name: str) -> None:
        """Puts the adapter on an open_clip model; ``plain`` has the same weights, not rounded.

        Raises:
            AdapterError: the weights are the backbone's, but it reads pixels or texts in another way.
        """
        self._require_same(plain)
        if self.is_weights:
            if not self.identity:
                write_weights(model, self._clip(plain))
        else:
            put_on(model, self._clip, identity=self.identity)
        given = fingerprint(model)
        Watch.over(model, lambda loaded: self._look_at_adapted(loaded, name, given))
        self._switched(name)

    def _look_at_new(
        self, model: Any, name: str, original: Callable[..., Any], asked: inspect.BoundArguments, *, rounded: bool
    ) -> bool:
        """Adapts a model that open_clip has just made, where it is the backbone; returns whether it is."""
        plain = model
        if rounded:  # the hash is of the weights as they were before
            asked.arguments |= {"precision": "fp32", "device": "cpu"}
            plain = original(*asked.args, **asked.kwargs)
        if self.is_backbone(plain, name):
            self.adapt(model, plain, name)
            return True
        Watch.over(model, lambda loaded: self._look_at_passed(loaded, name))
        return False

    def _look_at_passed(self, model: Any, name: str) -> None:
        """What a program has loaded into a model that was not the backbone may be it."""
        if self.is_backbone(model, name):
            self.passed.pop(name, None)
            self.adapt(model, model, name)

    def _look_at_adapted(self, model: Any, name: str, given: Fingerprint) -> None:
        """Looks at what a program has loaded into an adapted model, which had the fingerprint ``given``.

        Raises:
            AdapterError: other weights than the adapter was learnt on, and the check is strict.
        """
        if fingerprint(model) == given:
            return
        found, wanted = backbone_sha256(model), self.config.backbone_sha256
        if found == wanted:
            if self.is_weights and not self.identity:
                write_weights(model, self._clip(model))
            return
        message = (
            f"the program has loaded weights {found[:12]} into {name}, which it was given with {self.folder}, learnt "
            f"on {wanted[:12]}; give an adapter of those weights"
        )
        if self.check == "strict" and model.logit_scale.dtype == torch.float32:  # rounded weights have another hash
            raise AdapterError(f"{message}, or {WARN}")
        say("%s", message)

    def adapt_openais(self, model: Any, name: str) -> Any:
        """Returns a model of OpenAI's package with the adapter: itself, or for tokens a stand-in for it."""
        plain = as_open_clips(model)
        self._require_same(plain)
        if not self.is_weights:
            clip = self._clip(plain.to(model.logit_scale.device))
            clip = clip.half() if model.dtype == torch.float16 else clip
            model = OpenAIView(clip.plain() if self.identity else clip)
        elif not self.identity:
            write_weights(model, self._clip(plain))
        self._switched(name)
        return model

    def _require_same(self, model: Any) -> None:
        try:
            require_same(self.folder, self.config, model, self._source, in_memory=True)
        except AdapterError as error:
            if self.check == "strict":
                raise
            say("%s", error)

    @property
    def _source(self) -> BackboneConfig:
        return BackboneConfig(self.config.backbone, self.config.pretrained)

    def _clip(self, model: Any) -> OpenDASCLIP:
        """The adapter on a model, whose mode and gradients stay as they are."""
        config, was = self.config, model.training
        grads = [value.requires_grad for value in model.parameters()]
        folders.check_sizes(self.folder, config)
        clip = OpenDASCLIP(model, self._source, config.prompts, config.weights).filled(self.folder, config)
        for value, grad in zip(model.parameters(), grads, strict=True):
            value.requires_grad_(grad)
        model.train(was)
        return clip

    def _switched(self, name: str) -> None:
        self.switched.append(name)
        self.note("switched", name)
        how = " with nothing of it at work (identity)" if self.identity else ""
        say("%s is given with the adapter %s%s", name, self.folder, how, level=logging.INFO)

    def require_effect(self) -> None:
        """Looks whether the adapter was asked for.

        Raises:
            AdapterError: it was not, and the check is strict.
        """
        if not self.switched:
            self.complain([*(f"{name} ({digest})" for name, digest in self.passed.items()), *self.parts])
