"""A CLIP written as open_clip's own folder."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from safetensors.torch import save_file

from opendas_plugin.errors import BackboneError
from opendas_plugin.files import atomic_file, atomic_folder, write_json
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.construct import construct
from opendas_plugin.model.graphs import plain_model
from opendas_plugin.model.open_clip_folder import WEIGHTS
from opendas_plugin.model.rebuilt import facts_to_write, require_rebuilt
from opendas_plugin.model.stated import SIDECAR
from opendas_plugin.model.tokenizer_export import save_tokenizer
from opendas_plugin.model.tokenizer_files import OWN_TOKENIZER


def save_open_clip(clip: OpenDASCLIP, folder: str | Path) -> None:
    """Writes a folder that ``open_clip.create_model("local-dir:FOLDER")`` and ``get_tokenizer`` read.

    Args:
        clip: without an adapter, or with one of weights, which are put in.
        folder: to write, whole or not at all; what is there is replaced.

    Raises:
        AdapterError: the adapter is not weights alone.
        BackboneError: a configuration of open_clip cannot say the model, or its tokenizer is not here.
        OutputError: the folder cannot be written.
    """
    model, name = plain_model(clip), clip.backbone.name
    facts = facts_to_write(model, name)
    said = getattr(model, "configuration", None)
    if said is None:
        raise BackboneError(f"{name} was made by hand, so that its configuration is not known; build it by its name")
    config = {**deepcopy(said), "quick_gelu": facts.quick_gelu}
    other = "export it with `to` transformers or `to` onnx"
    require_rebuilt(model, lambda: construct(config, facts.preprocessing, name), name, "open_clip's folder", other)
    text = config["text_cfg"]
    if facts.tokenizer == OWN_TOKENIZER:
        text.pop("hf_tokenizer_name", None)
    else:
        text.setdefault("hf_tokenizer_name", "tokenizer.json")  # its files are looked for in the folder, by any name
    pixels = {**facts.preprocessing, "size": list(facts.image_size), "mode": "RGB"}
    with atomic_folder(folder) as temporary:
        write_json(temporary / SIDECAR, {"model_cfg": config, "preprocess_cfg": pixels})
        tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
        with atomic_file(temporary / WEIGHTS) as file:
            save_file(tensors, file, {"format": "pt"})
        if facts.tokenizer != OWN_TOKENIZER:
            save_tokenizer(clip, temporary, facts.tokenizer, cleans=False)
