"""Model cards: the README.md of an adapter's folder, which the Hugging Face hub shows, made from its configuration.

A card says what the adapter is, how to load it, which names it knows and how it scored; of the data no more than its
name and numbers, and no path of the machine that it was made on. A card that someone has edited is kept as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
from huggingface_hub import EvalResult, ModelCardData

from opendas_plugin.model.adapter_config import AdapterConfig
from opendas_plugin.version import __version__

CARD = "README.md"
TAGS = ("opendas", "clip", "adapter", "domain-adaptation", "open-vocabulary-segmentation")
MOST_NAMES = 200
METRICS = {"acc": "Acc", "w_f1": "W-F1", "b_f1": "B-F1", "n_f1": "N-F1", "harmonic_f1": "H"}
_TASK = "zero-shot-image-classification"
_MARK = re.compile(r"<!-- opendas-plugin card ([0-9a-f]{12}); edit the text, and it is kept -->\n\Z")


def card_text(config: AdapterConfig, name: str = "adapter") -> str:
    """The card of an adapter.

    Args:
        config: what the adapter says of itself.
        name: of the adapter, as in the examples of how to load it.
    """
    text = f"---\n{_front_matter(config, name)}\n---\n\n{_body(config, name)}"
    return f"{text}<!-- opendas-plugin card {_digest(text)}; edit the text, and it is kept -->\n"


def is_edited(card: str) -> bool:
    """Whether a card is another than the one that :func:`card_text` has made."""
    card = card.replace("\r\n", "\n")
    mark = _MARK.search(card)
    return mark is None or _digest(card[: mark.start()]) != mark[1]


def kept_card(folder: Path) -> str | None:
    """The card of a folder, where someone has edited it."""
    path = folder / CARD
    try:
        card = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return card if is_edited(card) else None


def base_model(config: AdapterConfig) -> str | None:
    """The hub's id of the backbone, where open_clip's table has one; None for files, folders and tiny CLIPs."""
    if not config.pretrained or config.backbone not in open_clip.list_models():
        return None
    tag = open_clip.get_pretrained_cfg(config.backbone, config.pretrained) or {}
    found = str(tag.get("hf_hub") or "").rstrip("/")
    return found or None


def _front_matter(config: AdapterConfig, name: str) -> str:
    training = config.training
    last = _last(_metrics(training))
    results = [
        EvalResult(
            task_type=_TASK,
            dataset_type="custom",
            dataset_name=str(training.get("dataset") or "own data"),
            metric_type="accuracy" if key == "acc" else "f1",
            metric_name=title,
            metric_value=round(float(last[key]), 2),
        )
        for key, title in METRICS.items()
        if isinstance(last.get(key), int | float)
    ]
    data = ModelCardData(
        base_model=base_model(config),
        library_name="opendas-plugin",
        pipeline_tag=_TASK,
        tags=[*TAGS, config.method],
        metrics=["accuracy", "f1"] if results else None,
        model_name=name if results else None,
        eval_results=results or None,
    )
    return data.to_yaml().strip()


def _body(config: AdapterConfig, name: str) -> str:
    training, backbone = config.training, _title(config)
    domain = _word(training.get("dataset")) or "a domain"
    parts = [
        f"# {name}: an adapter for {backbone}",
        f"It fits CLIP to {domain} for open-vocabulary segmentation, by the method `{config.method}` of OpenDAS-plugin "
        f"{__version__}. CLIP's own weights stay as they are; only what was learnt is here.",
        _loading(config, name),
        _data(config),
        _scores(training),
        _names(config),
        _limits(config),
    ]
    return "\n\n".join(part for part in parts if part) + "\n\n"


def _loading(config: AdapterConfig, name: str) -> str:
    weights = (
        f"The backbone's weights are checked by their hash, `{config.backbone_sha256[:12]}`; `pretrained=` says where "
        "they lie, if not where open_clip fetches them."
    )
    return (
        "## How to load it\n\n```python\nimport opendas_plugin as opendas\n\n"
        f'labeller = opendas.Labeller("{name}", ["door", "window", "desk"])  # a folder or a hub id; any names\n'
        'labels = labeller("photo.jpg", masks)\n\n'
        f'clip = opendas.OpenDASCLIP.from_pretrained("{name}")  # stands in for an open_clip model\n```\n\n{weights}'
    )


def _data(config: AdapterConfig) -> str:
    training = config.training
    rows = [
        ("data", _word(training.get("dataset"))),
        ("segments learnt from", training.get("segments")),
        ("recipe", _word(training.get("recipe"))),
        ("seed", training.get("seed")),
        ("epochs", _listed(training.get("epochs"))),
        ("template", f"`{config.template}`"),
        ("crops", None if config.crop_policy is None else str(config.crop_policy)),
        ("names of the evaluation were used in training", _yes(training.get("used_evaluation_names"))),
    ]
    lines = [f"| {key} | {value} |" for key, value in rows if value not in (None, "")]
    return "## What it was learnt from\n\nNone of the data is here.\n\n| | |\n| --- | --- |\n" + "\n".join(lines)


def _scores(training: Mapping[str, Any]) -> str:
    found = _metrics(training)
    if not found:
        return ""
    titles = [key for key in METRICS if any(isinstance(own.get(key), int | float) for own in found.values())]
    rows = [
        f"| {milestone.replace('_', ' ')} | "
        + " | ".join(f"{own[key]:.1f}" if isinstance(own.get(key), int | float) else "-" for key in titles)
        + f" | {own.get('n_segments', '-')} |"
        for milestone, own in found.items()
    ]
    head = f"| | {' | '.join(METRICS[key] for key in titles)} | segments |\n|{' --- |' * (len(titles) + 2)}\n"
    about = (
        "In percent, on the validation part of the same data, one training; `before` is plain CLIP. B-F1 and N-F1 are "
        "over the names that training saw and those that it did not, all competing."
    )
    return f"## Scores\n\n{head}" + "\n".join(rows) + f"\n\n{about}"


def _names(config: AdapterConfig) -> str:
    if not config.base_names:
        return ""
    count = len(config.base_names)
    shown = ", ".join(_escape(one) for one in config.base_names[:MOST_NAMES])
    more = f" and {count - MOST_NAMES} more" if count > MOST_NAMES else ""
    said = f"Any name may be given; these {count} were in training: {shown}{more}."
    return f"## Names that it has learnt\n\n{said}"


def _limits(config: AdapterConfig) -> str:
    lines = [
        f"It works on this backbone alone, {_title(config)}; another one, or other weights, is refused.",
        "Image and text features have to be taken from the same adapter.",
        "The scores are of one split of one data set; elsewhere they may be lower than plain CLIP's.",
        "A name is given to every mask, also where none of them fits.",
        "The backbone's weights and the data have terms of their own, which this card does not state.",
    ]
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _title(config: AdapterConfig) -> str:
    if config.pretrained:
        return f"{_word(config.backbone)} with {_word(config.pretrained)}"
    seed = "" if config.backbone_seed is None else f" with random weights of seed {config.backbone_seed}"
    return f"{_word(config.backbone)}{seed}"


def _metrics(training: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = training.get("metrics")
    return {str(k): v for k, v in found.items() if isinstance(v, Mapping)} if isinstance(found, Mapping) else {}


def _last(metrics: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    return metrics.get("after") or metrics.get("after_cache") or {}


def _word(value: object) -> str:
    """A text without the folders of the machine that it was made on."""
    if value in (None, ""):
        return ""
    return _escape(re.split(r"[/\\]", str(value).rstrip("/\\"))[-1])


def _escape(text: str) -> str:
    """A text that Markdown and HTML read as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _listed(value: object) -> str | None:
    return ", ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, Mapping) else None


def _yes(value: object) -> str | None:
    return None if value is None else "yes" if value else "no"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
