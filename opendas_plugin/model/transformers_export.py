"""A CLIP written as transformers' ``CLIPModel`` or ``SiglipModel``, without transformers."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from opendas_plugin.errors import BackboneError
from opendas_plugin.files import atomic_file, atomic_folder, write_json
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.construct import plain_name
from opendas_plugin.model.graphs import plain_model
from opendas_plugin.model.rebuilt import facts_to_write, require_rebuilt
from opendas_plugin.model.tokenizer_export import save_tokenizer
from opendas_plugin.model.towers.parts import OpenCLIP, text_module
from opendas_plugin.model.towers.transformers_names import Kind, kind_of, to_transformers
from opendas_plugin.model.transformers_config import image_processor, transformers_config
from opendas_plugin.model.transformers_format import CONFIG, IMAGE_PROCESSOR, SAFE, build

_FORM = "transformers' CLIPModel or SiglipModel"
_OTHER = "export it with `to` open-clip or `to` onnx"


def save_transformers(clip: OpenDASCLIP, folder: str | Path) -> None:
    """Writes a folder that ``CLIPModel.from_pretrained`` or ``SiglipModel.from_pretrained`` and pipelines read.

    It holds the configuration, the weights with what was learnt put in, the image processor and the tokenizer.

    Args:
        clip: without an adapter, or with one of weights.
        folder: to write, whole or not at all; what is there is replaced.

    Raises:
        AdapterError: the adapter is not weights alone.
        BackboneError: the model is neither of the two, or its tokenizer is not here.
        OutputError: the folder cannot be written.
    """
    model, name = plain_model(clip), clip.backbone.name
    facts, kind = facts_to_write(model, name), kind_of(model)
    if kind is None or facts.resize_mode == "longest" or facts.image_size[0] != facts.image_size[1]:
        raise BackboneError(f"{name} cannot be written as {_FORM}, whose towers work otherwise; {_OTHER}")
    try:
        tensors = to_transformers({plain_name(key): value for key, value in model.state_dict().items()}, kind)
    except (KeyError, ValueError) as error:
        raise BackboneError(
            f"{name} cannot be written as {_FORM}, whose parts are others ({error.args[0]}); {_OTHER}"
        ) from error
    config = transformers_config(tensors, facts, kind, _norms(model, kind))
    require_rebuilt(model, lambda: build(config, kind, facts.preprocessing, name), name, _FORM, _OTHER)
    names = {"clip": "CLIP", "siglip": "Siglip"}
    processor = image_processor(facts, kind)
    of_clip = kind == "clip" or "do_center_crop" in processor
    kinds = {"image_processor_type": f"{names['clip' if of_clip else kind]}ImageProcessor"}
    kinds["processor_class"] = f"{names[kind]}Processor"
    with atomic_folder(folder) as temporary:
        write_json(temporary / CONFIG, config)
        with atomic_file(temporary / SAFE) as file:
            save_file({key: value.contiguous() for key, value in tensors.items()}, file, {"format": "pt"})
        write_json(temporary / IMAGE_PROCESSOR, {**processor, **kinds})
        save_tokenizer(clip, temporary, facts.tokenizer, cleans=True)


def _norms(model: OpenCLIP, kind: Kind) -> tuple[float, float]:
    """What the LayerNorms of both towers add to variances."""
    visual = model.visual.ln_post if kind == "clip" else model.visual.trunk.norm
    return visual.eps, text_module(model).ln_final.eps
