"""Which backbones there are, which methods each takes, and what its weights take as pixels: shapes alone are built."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tqdm import tqdm

from opendas_plugin import methods
from opendas_plugin.errors import BackboneError
from opendas_plugin.eval.tables import Cell, Table
from opendas_plugin.files import write_json
from opendas_plugin.methods import Learnt
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run, function_of

Takes: TypeAlias = Mapping[str, Learnt | str]
"""For each method the values that it learns in each tower, or why the backbone does not take it."""
_PIXELS = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True)
class Backbone:
    """What is known of a backbone without its weights.

    Attributes:
        name: as ``OpenDASCLIP.from_backbone`` takes it.
        image_size: height and width of its pixels; empty where it cannot be built here.
        context_length: its longest text, in tokens.
        tokenizer: ``open_clip``, or the name of a Hugging Face one.
        takes: what each method learns, or why the backbone does not take it.
        tags: of each tag of weights its pixel statistics, interpolation, resize mode, and ``quick_gelu`` where it says.
    """

    name: str
    image_size: tuple[int, ...]
    context_length: int | None
    tokenizer: str
    takes: Takes
    tags: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Backbones(Run[tuple[Backbone, ...]]):
    """Lists backbones: the methods that each takes, with the values learnt in its visual and its text tower; size,
    context and tokenizer; and of each of its tags of weights what is taken as pixels.

    Nothing is read from the network, and no tokenizer is needed.
    """

    backbones: tuple[str, ...] = field(default_factory=tuple)
    """Names of models; default: all of open_clip's."""
    methods: tuple[str, ...] = ("opendas", "opendas_plus", "lora", "ln_bias")
    """Names of methods; `all` stands for every one."""
    output: Path | None = None
    """Folder for backbones.json, with all that is printed, and the tables as .md, .csv and .tex."""

    def work(self, record: RunRecord) -> tuple[Backbone, ...]:
        """Looks at the backbones; writes them where there is an output."""
        import open_clip

        chosen = methods.names() if "all" in self.methods else self.methods
        for name in chosen:
            methods.get(name)  # a wrong name is said before anything is built
        names = self.backbones or tuple(open_clip.list_models())
        found = tuple(
            describe(name, chosen) for name in tqdm(names, unit="model", disable=None if len(names) > 1 else True)
        )
        if self.output is not None:
            write_json(self.output / "backbones.json", [asdict(one) for one in found])
            for title, table in tables(found).items():
                table.save(self.output / title)
            record.write(self.output)
        return found


list_backbones = function_of(Backbones, "list_backbones")


def describe(name: str, chosen: Sequence[str]) -> Backbone:
    """Looks at one backbone.

    Args:
        name: as :class:`Backbone` has it.
        chosen: names of methods.

    Raises:
        BackboneError: there is none of this name.
        ConfigError: there is no such method.
    """
    import open_clip

    from opendas_plugin.model.adapted_clip import OpenDASCLIP
    from opendas_plugin.model.construct import missing_text
    from opendas_plugin.model.towers.facts import tokenizer_name

    key = name.replace("/", "-")
    tags = {tag: _pixels(key, tag) for tag in open_clip.list_pretrained_tags_by_model(key)}
    config = open_clip.get_model_config(key)
    if config is not None and (reason := missing_text(config)):
        return Backbone(name, (), None, tokenizer_name(name), dict.fromkeys(chosen, reason), tags)
    clip = OpenDASCLIP.from_backbone(name, device="meta")
    takes: dict[str, Learnt | str] = {}
    for method in chosen:
        try:
            takes[method] = methods.learnt_values(method, clip)
        except BackboneError as error:
            takes[method] = str(error).partition(";")[0].removeprefix(f"{name} ")  # without the advice
    return Backbone(name, clip.image_shape, clip.context_length, tokenizer_name(name), takes, tags)


def tables(found: Sequence[Backbone]) -> dict[str, Table]:
    """Returns ``backbones``, a row for each, and ``tags``, a row for each tag of weights."""
    chosen = tuple(found[0].takes) if found else ()
    tags = [(one, tag, facts) for one in found for tag, facts in one.tags.items()]
    return {
        "backbones": Table(
            "Values that each method learns in the visual and the text tower; -: it does not take the backbone.",
            ("backbone", "pixels", "context", "tokenizer", *chosen),
            tuple(_row(one) for one in found),
            notes=_reasons(found),
        ),
        "tags": Table(
            "What the weights of each tag take as pixels.",
            ("backbone", "tag", "mean", "std", "interpolation", "resize", "activation"),
            tuple((one.name, tag, *_facts(facts)) for one, tag, facts in tags),
        ),
    }


def _pixels(name: str, tag: str) -> dict[str, Any]:
    import open_clip
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    from opendas_plugin.model import stated

    said = stated.of_tag(open_clip.get_pretrained_cfg(name, tag))
    merged = merge_preprocess_dict(PreprocessCfg(), dict(said.pixels))
    return {key: merged[key] for key in _PIXELS} | ({} if said.quick_gelu is None else {"quick_gelu": said.quick_gelu})


def _row(one: Backbone) -> tuple[Cell, ...]:
    from opendas_plugin.model.towers.facts import OWN_TOKENIZER

    cells = (None if isinstance(takes, str) else f"{takes.visual:,} + {takes.text:,}" for takes in one.takes.values())
    size = "x".join(map(str, one.image_size)) or None
    context = None if one.context_length is None else str(one.context_length)
    return one.name, size, context, "own" if one.tokenizer == OWN_TOKENIZER else one.tokenizer, *cells


def _facts(facts: Mapping[str, Any]) -> tuple[str, ...]:
    mean, std = (" ".join(f"{value:.4g}" for value in facts[name]) for name in ("mean", "std"))
    activation = "quick_gelu" if facts.get("quick_gelu") else "the model's"
    return mean, std, facts["interpolation"], facts["resize_mode"], activation


def _reasons(found: Sequence[Backbone]) -> tuple[str, ...]:
    """Why methods do not take backbones, a line for each reason."""
    groups: dict[str, dict[str, list[str]]] = {}
    for one in found:
        for method, reason in one.takes.items():
            if isinstance(reason, str):
                groups.setdefault(reason, {}).setdefault(one.name, []).append(method)
    return tuple(
        f"{', '.join(dict.fromkeys(itertools.chain(*names.values())))} on {', '.join(names)}: {reason}"
        for reason, names in groups.items()
    )
