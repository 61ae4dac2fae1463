"""A CLIP as ONNX graphs, with what was learnt baked in, for onnxruntime and other runtimes without torch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from opendas_plugin.errors import BackboneError, MissingDependencyError
from opendas_plugin.files import atomic_folder, write_json
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import Precision
from opendas_plugin.model.construct import first_line
from opendas_plugin.model.graphs import ImageGraph, NamesGraph, TextGraph, baked

IMAGE, TEXT, NAMES = "image.onnx", "text.onnx", "names.onnx"
ABOUT = "onnx.json"
_LARGE = 4096
"""Values of a tensor from which fp16 stores it in half precision; biases and LayerNorms have fewer."""
_IN_ONE_FILE = 1_800_000_000
"""Bytes of weights up to which a graph is one file; a protobuf holds 2 GB, and larger weights lie beside it."""


def save_onnx(
    clip: OpenDASCLIP,
    folder: str | Path,
    about: Mapping[str, Any],
    *,
    names: torch.Tensor | None = None,
    precision: Precision = "fp32",
) -> None:
    """Writes a folder of graphs, whole or not at all; what is there is replaced.

    ``image.onnx`` takes ``pixels`` (B, 3, S, S) float32 and gives ``features`` (B, D) of unit length, ``text.onnx``
    ``ids`` (N, L) int64 and ``features`` (N, D). With ``names`` there is ``names.onnx`` alone: from
    ``pixels`` to ``cosines`` (B, N). ``onnx.json`` says the lengths of texts that are taken, and ``about``.

    Args:
        clip: with or without an adapter.
        folder: to write.
        about: what else a user of the graphs has to know, as JSON.
        names: features (N, D) of the names that are baked in; None: texts are free.
        precision: that weights are stored in; what is computed is float32.

    Raises:
        AdapterError: text features depend on the image (CoCoOp).
        BackboneError: torch cannot export the model.
        MissingDependencyError: a package of the extra ``onnx`` is not installed.
        OutputError: the folder cannot be written.
    """
    _require_packages()
    twin = baked(clip)
    pixels = torch.zeros(2, 3, *twin.image_shape)
    with atomic_folder(folder) as temporary:
        if names is not None:
            _write(NamesGraph(twin, names), pixels, {}, "pixels", "cosines", temporary / NAMES, precision)
        else:
            ids, lengths, longest = _texts(twin)
            _write(ImageGraph(twin), pixels, {}, "pixels", "features", temporary / IMAGE, precision)
            _write(TextGraph(twin), ids, lengths, "ids", "features", temporary / TEXT, precision)
            about = {**about, "text_lengths": longest}
        write_json(temporary / ABOUT, {**about, "precision": precision})


def _texts(clip: OpenDASCLIP) -> tuple[torch.Tensor, dict[int, Any], list[int]]:
    """Token ids to trace with, which of their axes vary, and the shortest and longest text."""
    tower, room, places = clip.towers.text, clip.context_length, clip.text_prompts.places
    if getattr(tower, "reads_padding", True):  # so each text has all of it
        return torch.full((2, room), places.frame.pad if places else 1), {}, [room, room]
    shortest = max(2, len(places.words) + 1 if places else 0)
    ids = torch.full((2, max(shortest + 1, room // 2)), tower.vocabulary_size - 1)
    ids[:, 0] = places.frame.start if places and places.frame.start is not None else 0
    return ids, {1: torch.export.Dim("length", min=shortest, max=room)}, [shortest, room]


def _write(
    graph: nn.Module,
    example: torch.Tensor,
    varying: dict[int, Any],
    takes: str,
    gives: str,
    path: Path,
    precision: Precision,
) -> None:
    import onnx

    shapes = ({0: torch.export.Dim.DYNAMIC, **varying},)
    beside = sum(p.numel() * p.element_size() for p in graph.state_dict().values()) > _IN_ONE_FILE
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own parts to each other
        try:
            program = torch.onnx.export(
                graph.eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=[takes],
                output_names=[gives],
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            raise BackboneError(
                f"torch {torch.__version__} cannot export this model to ONNX ({first_line(cause)}); if what was "
                "learnt are weights, export it with `to` transformers or `to` open-clip; else keep it in Python"
            ) from error
    if program is None:
        raise BackboneError(f"torch {torch.__version__} returned no graph; install another release of torch")
    program.save(str(path), external_data=beside)
    if precision == "fp16":
        model = onnx.load(str(path))
        _store_in_half(model.graph)
        path.with_name(f"{path.name}.data").unlink(missing_ok=True)
        onnx.save(model, str(path), save_as_external_data=beside, location=f"{path.name}.data")


def _store_in_half(graph: Any) -> None:
    """Has matrices and tables of a graph in half precision, each turned into float32 before anything reads it.

    What is computed stays float32: with the inputs and results of products rounded too, cosines of office-tiny move
    by 5e-4.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1 and math.prod(tensor.dims) >= _LARGE:
            name, half = tensor.name, f"{tensor.name}_half"
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), half))
            casts.append(helper.make_node("Cast", [half], [name], name=f"{name}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _require_packages() -> None:
    try:
        import onnx  # noqa: F401 (what is missing is said before the work)
        import onnxscript  # noqa: F401 (torch's exporter needs it)
    except ImportError as error:
        raise MissingDependencyError(
            f"ONNX graphs need the package {error.name}; pip install 'opendas-plugin[onnx]'"
        ) from error
