"""Half precision of an ONNX graph where it saves memory and time, and single precision where it would cost digits.

Matrices and tables are stored in half precision, and products with them computed in it, as torch's autocast does. What
lies between the products stays in single precision: where the sums of the layers, LayerNorms, softmax and the last
normalisation were in half precision too, cosines of ``office-tiny`` with names moved by 4e-4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_PRODUCTS = ("MatMul", "Gemm", "Conv")
_LEAST = 4096
"""Values of a tensor from which it is stored in half precision; biases and LayerNorms have fewer."""


def halve(model: ModelProto) -> None:
    """Turns the matrices and tables of a graph, and products with them, into half precision, in place.

    Args:
        model: a graph without sub-graphs whose numbers are float32 or integers; its inputs and outputs stay so.
    """
    from onnx import TensorProto, helper

    graph = model.graph
    stored = _stored_in_half(graph)
    weights, half = _weights(graph, stored), {name: f"{name}_half" for name in stored}
    nodes: list[NodeProto] = []

    def cast(source: str, result: str, kind: int) -> NodeProto:
        return helper.make_node("Cast", [source], [result], name=f"{result}_cast", to=kind)

    for node in graph.node:
        if node.op_type not in _PRODUCTS or not weights & set(node.input):
            nodes.append(node)
            continue
        for place, name in enumerate(node.input):
            if name and name not in half:
                half[name] = f"{name}_half"
                nodes.append(cast(name, half[name], TensorProto.FLOAT16))
            node.input[place] = half.get(name, name)
        result, node.output[0] = node.output[0], f"{node.output[0]}_half"
        nodes += [node, cast(node.output[0], result, TensorProto.FLOAT)]
    read = {name for node in nodes for name in node.input}
    singles = [cast(half[name], name, TensorProto.FLOAT) for name in sorted(stored & read)]
    del graph.node[:], graph.value_info[:]
    graph.node.extend([*singles, *nodes])


def _stored_in_half(graph: GraphProto) -> set[str]:
    """Rounds the graph's matrices and tables to half precision, and returns the names that they had."""
    from onnx import TensorProto, numpy_helper

    names = set()
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1 and np.prod(tensor.dims) >= _LEAST:
            values = numpy_helper.to_array(tensor)
            names.add(tensor.name)
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}_half"))
    return names


def _weights(graph: GraphProto, stored: set[str]) -> set[str]:
    """The stored tensors, and what nodes make of them and of other constants alone, such as their rows."""
    constant, found = {tensor.name for tensor in graph.initializer} | stored, set(stored)
    for node in graph.node:
        if set(node.input) <= constant:
            constant |= set(node.output)
            found |= set(node.output) if found & set(node.input) else set()
    return found
