"""A frozen CLIP with learnt tokens in both towers, which stands in for an open_clip model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from opendas_plugin.crops import CropPolicy
from opendas_plugin.errors import AdapterError, ConfigError
from opendas_plugin.model import adapter, hub
from opendas_plugin.model.adapter_backbone import build_named, require_same, require_same_tokenizer
from opendas_plugin.model.adapter_config import AdapterConfig
from opendas_plugin.model.cache import FeatureCache
from opendas_plugin.model.cards import CARD
from opendas_plugin.model.checkpoint import OpenCLIP, build_backbone
from opendas_plugin.model.config import BackboneConfig, CacheConfig, PromptConfig, WeightConfig
from opendas_plugin.model.encoder import Encoder
from opendas_plugin.model.encoding import Encodes
from opendas_plugin.model.factored import FactoredPrompts
from opendas_plugin.model.hashes import contents, known_sha256
from opendas_plugin.model.interfaces import VisualView
from opendas_plugin.model.prompt_starts import new_prompts
from opendas_plugin.model.prompts import CoupledPrompts, Prompts, TextPrompts
from opendas_plugin.model.tokenizing import require_folder, tokenizer_sha256
from opendas_plugin.model.tower import TowerName
from opendas_plugin.model.towers.facts import facts_of
from opendas_plugin.model.towers.find import find_towers
from opendas_plugin.model.weights import new_weights
from opendas_plugin.version import __version__

_METADATA = ("method", "template", "crop_policy", "base_names", "training", "calibration")


class OpenDASCLIP(Encodes):
    """CLIP with an adapter; made by :meth:`from_backbone` or :meth:`from_pretrained`.

    The open_clip model, frozen and in evaluation mode, is ``model``, its two towers are ``towers``; what it was built
    from is ``backbone``. What is learnt lies in ``visual_prompts``, ``text_prompts``, ``visual_weights`` and
    ``text_weights``, stored features in ``cache``: float32 whatever type the rest is cast to.
    """

    def __init__(
        self,
        model: OpenCLIP,
        backbone: BackboneConfig,
        prompts: PromptConfig | None = None,
        weights: WeightConfig | None = None,
        *,
        seed: int = 0,
    ) -> None:
        """Wraps an open_clip model.

        Args:
            model: open_clip's ``CLIP``, ``CustomTextCLIP`` or ``CoCa``, float32; its tensors are shared, not copied.
            backbone: what the model was built from.
            prompts: the learnt tokens; None: none, and without ``weights`` no adapter.
            weights: which weights have learnt counterparts.
            seed: seed of the start's noise; torch's own generator is left as it is.

        Raises:
            BackboneError: the model cannot carry the learnt tokens.
            ConfigError: more layers are asked for than there are.
        """
        super().__init__()
        self.towers = find_towers(model)
        self.model = model.eval().requires_grad_(False)
        self.backbone = backbone
        has_adapter = prompts is not None or weights is not None
        prompts, weights = prompts or PromptConfig(visual_tokens=0, text_tokens=0), weights or WeightConfig()
        generator = torch.Generator().manual_seed(seed)
        self.visual_prompts: Prompts | CoupledPrompts | FactoredPrompts
        self.text_prompts: TextPrompts
        self.visual_prompts, self.text_prompts = new_prompts(
            self.towers, prompts, self.tokenize, generator, backbone.name
        )
        self.visual_weights = new_weights(self.towers.visual, weights.visual, weights, generator)
        self.text_weights = new_weights(self.towers.text, weights.text, weights, generator)
        self._weight_mix = weights.mix
        self.cache: FeatureCache | None = None
        self._encoder = Encoder()
        self.config = AdapterConfig(
            backbone=backbone.name,
            pretrained=backbone.pretrained,
            backbone_seed=backbone.seed,
            backbone_sha256=known_sha256(model) if has_adapter and not self.logit_scale.is_meta else "",
            prompts=prompts,
            weights=weights,
            backbone_facts=facts_of(model, backbone.name),
            tokenizer=backbone.tokenizer,
            tokenizer_sha256=tokenizer_sha256(self.tokenizer) if has_adapter and backbone.tokenizer else "",
        )

    @classmethod
    def from_backbone(
        cls,
        name: str,
        pretrained: str | Path | None = None,
        *,
        prompts: PromptConfig | None = None,
        weights: WeightConfig | None = None,
        device: str | torch.device = "cpu",
        seed: int = 0,
        prompt_seed: int = 0,
        tokenizer: str | Path | None = None,
    ) -> OpenDASCLIP:
        """Builds a CLIP and, with ``prompts``, a new adapter on it.

        Args:
            name: open_clip's name of a model, the path of an OpenAI-format file, a folder that transformers or
                open_clip has saved, or ``office-tiny``.
            pretrained: open_clip's tag, a weight file or such a folder, or None or ``random``: random weights.
            prompts: the learnt tokens; None, and no ``weights``: no adapter, plain CLIP.
            weights: which weights have learnt counterparts.
            device: where to put it; ``meta`` for the shapes alone.
            seed: seed of random backbone weights.
            prompt_seed: seed of what is learnt, at its start.
            tokenizer: folder of its Hugging Face tokenizer; None: as ``name`` says, which may have to be fetched.

        Raises:
            BackboneError: unknown, unreadable, or unable to carry the learnt tokens.
            MissingFileError: a file or folder that is given is not there.
        """
        words = require_folder(tokenizer)
        model, backbone = build_backbone(name, pretrained, seed=seed, device=device)
        return cls(model, replace(backbone, tokenizer=words), prompts, weights, seed=prompt_seed)

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | Path,
        pretrained: str | Path | None = None,
        device: str | torch.device | None = None,
        *,
        backbone: OpenDASCLIP | None = None,
        tokenizer: str | Path | None = None,
        **hub_options: Any,
    ) -> OpenDASCLIP:
        """Loads an adapter and the backbone that it was learnt on, or puts it on one that is in memory.

        Args:
            path_or_id: an adapter folder, or its id on the Hugging Face Hub.
            pretrained: where the backbone's weights lie now, if not where the adapter says.
            device: where to put it; None: the CPU.
            backbone: a CLIP with the adapter's backbone, adapted or not. Its frozen model is shared, not copied, so
                moving or casting one of the two moves and casts it for both: do it before.
            tokenizer: where the folder of the backbone's tokenizer lies now, likewise.
            hub_options: ``revision``, ``cache_dir``, ``token``, ``local_files_only``, ``force_download``.

        Raises:
            AdapterError: the folder is damaged, of a newer format, or belongs to other weights.
            ConfigError: ``pretrained``, ``device`` or ``tokenizer`` beside ``backbone``.
            MissingFileError: the adapter or the backbone's weights are not there.
        """
        folder = adapter.find_folder(path_or_id, **hub_options)
        config = adapter.read_config(folder)
        adapter.check_sizes(folder, config)
        if backbone is None:
            model, source = build_named(folder, config, pretrained, device or "cpu", tokenizer)
        elif pretrained is None and device is None and tokenizer is None:
            model, source = backbone.model, backbone.backbone
        else:
            raise ConfigError("a backbone that is in memory has its weights, device and tokenizer; leave them out")
        require_same(folder, config, model, source, in_memory=backbone is not None)
        return cls(model, source, config.prompts, config.weights).filled(folder, config)

    def filled(self, folder: Path, config: AdapterConfig) -> OpenDASCLIP:
        """Returns this CLIP, which was built as the configuration of a folder says, with what the folder holds."""
        require_same_tokenizer(folder, config, lambda: self.tokenizer)
        if config.cache.entries:
            self._put(config.cache)
        learnt = self.learnt_state()
        for key, tensor in adapter.read_tensors(folder, learnt).items():
            learnt[key].copy_(tensor)
        self.config = config
        return self

    def plain(self) -> OpenDASCLIP:
        """Returns the CLIP without an adapter, on the same frozen model: shared, as :meth:`from_pretrained` says."""
        return OpenDASCLIP(self.model, self.backbone)

    def save_pretrained(self, folder: str | Path, **metadata: Any) -> None:
        """Writes the adapter folder with a README.md, its card, whole or not at all; a card that was edited is kept.

        Args:
            folder: new, empty, or an adapter to replace.
            metadata: ``method``, ``template``, ``crop_policy`` (a :class:`~opendas_plugin.crops.CropPolicy`),
                ``base_names``, ``training``, ``calibration``.

        Raises:
            AdapterError: there is no adapter.
            ConfigError: other metadata, or a crop policy that is none.
            OutputError: the folder cannot be written.
        """
        if unknown := sorted(metadata.keys() - set(_METADATA)):
            raise ConfigError(f"expected metadata among {', '.join(_METADATA)}, got {', '.join(unknown)}")
        if not isinstance(crops := metadata.get("crop_policy"), CropPolicy | None):
            raise ConfigError(f"expected crop_policy to be a CropPolicy, got {crops!r}")
        self._save(Path(folder), None, metadata)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        commit_message: str = "Add adapter",
        create_pr: bool = False,
    ) -> str:
        """Uploads the adapter folder with its card to the Hugging Face hub; a card that was edited there is kept.

        Args:
            repo_id: such as ``name/adapter``; made where there is none.
            private: whether a new one is private; None: as the account makes them.
            token: of the account; None: the one that is logged in.
            branch: to upload to, made where there is none; None: the main one.
            commit_message: of the commit.
            create_pr: propose it as a pull request.

        Returns:
            The commit's address.

        Raises:
            AdapterError: there is no adapter.
            OutputError: the hub cannot be reached, or refuses it.
        """
        with tempfile.TemporaryDirectory() as folder, hub.said(repo_id, token):
            repo_id, card = hub.prepare(repo_id, private=private, token=token, branch=branch)
            if card is not None:
                Path(folder, CARD).write_text(card, encoding="utf-8")
            self._save(Path(folder), repo_id, {})
            return hub.upload(repo_id, folder, token, branch, commit_message, create_pr)

    def _save(self, folder: Path, name: str | None, metadata: dict[str, Any]) -> None:
        config = replace(self.config, **metadata, package_version=__version__)
        if not config.backbone_sha256:
            raise AdapterError("this CLIP has no adapter to save; build it with prompts=PromptConfig()")
        adapter.save_adapter(folder, config, self.learnt_state(), name)
        self.config = config

    def keep(self, cache: FeatureCache) -> None:
        """Puts stored features beside what was learnt; from now on they move image features, and are saved with it.

        Raises:
            ConfigError: features of another width.
        """
        if cache.keys.shape[1] != self.feature_width:
            raise ConfigError(f"expected stored features of width {self.feature_width}, got {cache.keys.shape[1]}")
        self.cache = cache.to(self.towers.visual.device)
        self.config = replace(self.config, cache=cache.config, backbone_sha256=known_sha256(self.model))

    def text_key(self) -> tuple[Any, ...]:
        """What text features depend on: another value means that kept ones are of the past.

        What was learnt is compared by its contents, the frozen model by torch's count of changes.
        """
        found, tower = self.at_work(), self.towers.text
        learnt = contents(p for module in self.learnt_modules("text") for p in module.state_dict().values())
        frozen = tuple((p.data_ptr(), p._version) for p in tower.weights().values())
        return found.text, found.interpolation.text, found.weight_mix, learnt, tower.device, tower.dtype, frozen

    @property
    def is_saved(self) -> bool:
        """Whether the adapter was loaded or saved, so that ``config`` says which template and crops it goes with."""
        return bool(self.config.package_version)

    def prompt_parameters(self) -> Iterator[nn.Parameter]:
        """Iterates over the learnt tensors."""
        for module in (*self.learnt_modules("visual"), *self.learnt_modules("text")):
            yield from module.parameters()

    def learnt_modules(self, tower: TowerName) -> tuple[nn.Module, ...]:
        """Returns the modules of one tower that hold what is learnt."""
        if tower == "visual":
            return self.visual_prompts, self.visual_weights
        return self.text_prompts, self.text_weights

    def learnt_state(self) -> dict[str, torch.Tensor]:
        """Returns what an adapter holds, by name: the state without the frozen model's, stored features included."""
        return {key: value for key, value in self.state_dict().items() if not key.startswith("model.")}

    def train(self, mode: bool = True) -> OpenDASCLIP:
        """Sets the mode of what is learnt; the frozen model stays in evaluation mode."""
        super().train(mode)
        self.model.eval()
        return self

    @property
    def visual(self) -> VisualView:
        """The visual tower, callable with pixels."""
        return VisualView(self)

    def _replicate_for_data_parallel(self) -> Any:
        raise ConfigError(
            "an adapted CLIP cannot be copied to several GPUs by nn.DataParallel, whose copies hold no parameters; "
            "use torchrun with DistributedDataParallel, or a CLIP of its own for each GPU"
        )

    def _put(self, config: CacheConfig) -> None:
        """Makes room for the stored features of a folder."""
        empty = torch.zeros(config.entries, self.feature_width, device=self.towers.visual.device)
        self.cache = FeatureCache(empty, empty, config)
