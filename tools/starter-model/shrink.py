"""Stores the weights of both towers in 8 bits, which reduces the files to a quarter.

    python tools/starter-model/shrink.py models/starter

Each output channel has its own scale. The graph converts the weights back to float32 on load (onnxruntime folds
constants), so the computation and its speed are unchanged; only the weights are rounded.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SMALLEST = 1024
"""Smaller tensors (biases, norms) stay unchanged: they would save nothing."""


def input_axis(graph: onnx.GraphProto, name: str) -> int:
    """The first axis that shares a scale: a MatMul has its outputs on the last axis, everything else on the first."""
    multiplied = any(node.op_type == "MatMul" and name in node.input for node in graph.node)
    return 0 if multiplied else 1


def shrink(graph: onnx.GraphProto) -> None:
    restored = []
    for tensor in list(graph.initializer):
        weights = numpy_helper.to_array(tensor)
        if weights.dtype != np.float32 or weights.size < SMALLEST:
            continue
        first = input_axis(graph, tensor.name)
        axes = (0,) if first == 0 else tuple(range(1, weights.ndim))
        scale = np.maximum(np.abs(weights).max(axis=axes, keepdims=True) / 127, 1e-12).astype(np.float32)
        codes = np.rint(weights / scale).astype(np.int8)
        name = tensor.name
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(codes, f"{name}.codes"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        restored.append(helper.make_node("Cast", [f"{name}.codes"], [f"{name}.float"], to=TensorProto.FLOAT))
        restored.append(helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]))
    nodes = [*restored, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def main() -> None:
    for tower in ("vision", "text"):
        path = Path(sys.argv[1]) / "onnx" / f"{tower}_model.onnx"
        model = onnx.load(path)
        shrink(model.graph)
        onnx.checker.check_model(model)
        onnx.save(model, path)


if __name__ == "__main__":
    main()
