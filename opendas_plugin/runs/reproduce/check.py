"""Step ``check``: weights are the published ones, features open_clip's own, and names can be told apart."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import open_clip
import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.classifier import SAME
from opendas_plugin.errors import BackboneError, OpenDASError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.model.towers.parts import OpenCLIP
from opendas_plugin.model.weight_file import read_weights
from opendas_plugin.readers import ade20k, kitti360, registry, scannetpp
from opendas_plugin.readers.reader import Context
from opendas_plugin.runs.reproduce.place import Place, office_lists, title_of
from opendas_plugin.runs.reproduce.sources import SOURCES
from opendas_plugin.runs.reproduce.store import Done
from opendas_plugin.runs.reproduce.tiers import Weights
from opendas_plugin.runs.reproduce.weights import WeightFile, look_up
from opendas_plugin.stamps import Inputs
from opendas_plugin.vocabulary import DEFAULT_TEMPLATE, fill
from opendas_plugin.wording import counted

logger = logging.getLogger(__name__)

TOLERANCES = {"cpu": 1e-5, "cuda": 2e-3}
"""How far a coordinate of a feature of unit length may be from open_clip's, in float32; a GPU may use TF32."""
_TEXTS = ("a photo of a door.", "a photo of a door frame.", "an office chair", "a")


def used(place: Place) -> list[Weights]:
    """The backbones of the tier, each once."""
    trained = [place.tier.trained] if place.tier.trained else []
    return list(dict.fromkeys([*place.tier.anchors, *trained, place.tier.rivals]))


def inputs(place: Place) -> Inputs:
    """What the step is made from."""
    return place.inputs([], used(place), device=str(place.device), names=sorted(names_at_hand(place)))


def run(place: Place) -> Done:
    """Checks every backbone.

    Raises:
        BackboneError: weights cannot be had or are not the published ones, or features are not open_clip's own.
    """
    names, notes, found = names_at_hand(place), list[str](), list[dict[str, Any]]()
    for weights in used(place):
        file = look_up(weights, place.root)
        name, pretrained = place.weights(weights)
        clip = OpenDASCLIP.from_backbone(name, pretrained, device=place.device)
        facts = {
            "backbone": title_of(weights),
            "file": file.to_json(),
            "tensors": backbone_sha256(clip),
            "differences": require_equal(clip, independent(weights, file, place.device), title_of(weights)),
            "names": {title: judge_names(clip, texts) for title, texts in names.items()},
        }
        found.append(facts)
        notes += list(_sentences(facts))
        del clip
    return Done(notes=notes, facts={"backbones": found})


def independent(weights: Weights, file: WeightFile, device: torch.device) -> OpenCLIP:
    """The model as open_clip itself builds and loads it."""
    name, tag = weights
    if tag is None or read_weights(file.path).is_openais:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch.jit is deprecated; OpenAI's files are not
            return open_clip.load_openai_model(str(file.path), precision="fp32", device=device).eval()
    model = open_clip.create_model(name, pretrained=tag, precision="fp32", device=device)
    return model.eval()


@torch.no_grad()
def require_equal(clip: OpenDASCLIP, theirs: OpenCLIP, title: str) -> dict[str, float]:
    """The largest difference of a coordinate of unit features, of two images and a few texts.

    Raises:
        BackboneError: it is larger than rounding makes it.
    """
    device = clip.logit_scale.device
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(2, 3, clip.image_size, clip.image_size, generator=generator).to(device)
    tokens = clip.tokenize(list(_TEXTS)).to(device)
    differences = {}
    for tower, ours, other in (
        ("images", clip.encode_image(pixels), theirs.encode_image(pixels)),
        ("texts", clip.encode_text(tokens), theirs.encode_text(tokens)),
    ):
        differences[tower] = float((unit(ours.float(), dim=-1) - unit(other.float(), dim=-1)).abs().max())
        if not differences[tower] <= TOLERANCES.get(device.type, TOLERANCES["cuda"]):
            raise BackboneError(
                f"{title}: features of {tower} differ from open_clip's own by {differences[tower]:.2g}; check the "
                "versions of torch and open_clip, and report it"
            )
    return differences


@torch.no_grad()
def judge_names(clip: OpenDASCLIP, names: Sequence[str], template: str = DEFAULT_TEMPLATE) -> dict[str, Any]:
    """What a text tower makes of names.

    Returns:
        ``count``; ``worst``, the two names with the highest cosine, and it; ``same``, how many pairs have the same
        feature; ``rank``, how many dimensions hold 95% of the features' energy about their mean; ``too_long``, names
        that do not fit the context.
    """
    fitting, too_long = [], []
    for name in names:
        try:
            clip.tokenize([fill(template, name)])
            fitting.append(name)
        except OpenDASError:
            too_long.append(name)
    texts = [fill(template, name) for name in fitting]
    features = clip.encode_text(clip.tokenize(texts).to(clip.logit_scale.device), normalize=True).float().cpu()
    cosines = (features @ features.T).triu(diagonal=1)
    place = int(cosines.argmax())
    first, second = divmod(place, len(fitting))
    energy = torch.linalg.svdvals(features - features.mean(dim=0)).square().numpy()
    share = np.cumsum(energy) / max(float(energy.sum()), 1e-12)
    return {
        "count": len(names),
        "worst": [fitting[first], fitting[second], round(float(cosines.max()), 4)],
        "same": int((cosines > SAME).sum()),
        "rank": int(np.searchsorted(share, 0.95) + 1),
        "too_long": too_long,
    }


def names_at_hand(place: Place) -> dict[str, tuple[str, ...]]:
    """The names of the datasets that are there, without reading their pictures; ADE20K's where none is."""
    tables = {"ade20k": ade20k.NAMES, "kitti360": kitti360.class_names(37)}
    found = {SOURCES[reader].title: names for reader, names in tables.items() if place.has(reader)}
    for reader in ("dtd", "eurosat"):
        if (root := SOURCES[reader].find(place.root)) is not None:
            own = registry.get(reader)
            found[SOURCES[reader].title] = own.read(own.options(root=root), Context(root, root)).names
    if (root := SOURCES["scannetpp"].find(place.root)) is not None:
        found[SOURCES["scannetpp"].title] = scannetpp.office_names(scannetpp.ScanNetPP(root=root, **office_lists(root)))
    return found or {"ADE20K-150": ade20k.NAMES}


def _sentences(facts: Mapping[str, Any]) -> Iterator[str]:
    file, differences = facts["file"], facts["differences"]
    stated = f", as {file['stated_by']} states it" if file["stated_by"] else f" ({file['verdict']}; nobody states it)"
    yield (
        f"{facts['backbone']}: SHA-256 {file['sha256'][:12]} of {file['file']}{stated}; features differ from "
        f"open_clip's own by {max(differences.values()):.1e} at most."
    )
    for title, found in facts["names"].items():
        first, second, cosine = found["worst"]
        odd = f"; {len(found['too_long'])} do not fit the context: {', '.join(found['too_long'])}" * bool(
            found["too_long"]
        )
        same = f"; {counted(found['same'], 'pair has', 'pairs have')} the same feature" if found["same"] else ""
        yield (
            f"{facts['backbone']}, the {found['count']} names of {title}: the closest two are {first!r} and {second!r} "
            f"(cosine {cosine:.3f}), and 95% of their spread lies in a space of rank {found['rank']}{same}{odd}."
        )
