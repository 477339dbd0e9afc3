"""Flowcharts of blocks of a network, for the documents."""

from typing import NamedTuple

import keras
from keras import layers

INPUT = "input"
MERGES: dict[type, str] = {layers.Add: "add", layers.Multiply: "multiply", layers.Concatenate: "concatenate"}
FOLDED = (layers.BatchNormalization, layers.Activation)


class Box(NamedTuple):
    """A layer with the normalization and the activation after it.

    Attributes:
        text: the layer, such as `conv 3x3, 64`.
        then: the layers after it in the same box, such as `batch norm, relu`.
        size: of the output, such as `28x28x64`.
    """

    text: str
    then: str
    size: str


class Block(NamedTuple):
    """Boxes, the input first and then in the order of the network, and edges as pairs of their indices."""

    boxes: list[Box]
    edges: list[tuple[int, int]]


def block_graph(model: keras.Model, prefix: str = "") -> Block:
    """Return the layers whose names are the prefix, or begin with it and an underscore; with an empty one all layers.

    Args:
        model: a functional network that contains no models as layers.
        prefix: such as `stage_1_block_1`.
    """
    producer = {id(layer.output): layer.name for layer in model.layers}
    chosen = [layer for layer in model.layers if _belongs(layer, prefix)]
    before = {layer.name: [producer[id(tensor)] for tensor in _inputs(layer)] for layer in chosen}
    consumers = [name for names in before.values() for name in names]
    entry = next(layer for layer in model.layers if layer.name == before[chosen[0].name][0])

    boxes = [Box(INPUT, "", _size(entry))]
    place: dict[str, int] = {entry.name: 0}  # the index of the box of each layer
    edges = []
    for layer in chosen:
        sources = [place[name] for name in before[layer.name]]
        if isinstance(layer, FOLDED) and sources[0] and consumers.count(before[layer.name][0]) == 1:
            place[layer.name] = sources[0]
            boxes[sources[0]] = _with(boxes[sources[0]], layer)
            continue
        place[layer.name] = len(boxes)
        edges += [(source, len(boxes)) for source in sources]
        boxes.append(_box(layer))
    return Block(boxes, edges)


def _belongs(layer: keras.layers.Layer, prefix: str) -> bool:
    if isinstance(layer, layers.InputLayer):
        return False
    return not prefix or layer.name == prefix or layer.name.startswith(f"{prefix}_")


def _inputs(layer: keras.layers.Layer) -> list[keras.KerasTensor]:
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _size(layer: keras.layers.Layer) -> str:
    return "x".join(str(side) for side in layer.output.shape[1:])


def _with(box: Box, layer: keras.layers.Layer) -> Box:
    added = "batch norm" if isinstance(layer, layers.BatchNormalization) else layer.activation.__name__
    return box._replace(then=f"{box.then}, {added}" if box.then else added, size=_size(layer))


def _box(layer: keras.layers.Layer) -> Box:
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    return Box(_text(layer), "" if activation == "linear" else activation, _size(layer))


def _text(layer: keras.layers.Layer) -> str:
    if type(layer) in MERGES:
        return MERGES[type(layer)]
    if isinstance(layer, layers.Conv2D):
        return f"conv {_window(layer.kernel_size, layer)}, {layer.filters}"
    if isinstance(layer, layers.MaxPooling2D):
        return f"max pool {_window(layer.pool_size, layer)}"
    if isinstance(layer, layers.AveragePooling2D):
        return f"average pool {_window(layer.pool_size, layer)}"
    if isinstance(layer, layers.GlobalAveragePooling2D):
        return "mean of each map"
    if isinstance(layer, layers.Dense):
        return f"dense {layer.units}"
    if isinstance(layer, layers.Dropout):
        return f"dropout {layer.rate:g}"
    if isinstance(layer, layers.ZeroPadding2D):
        return f"zero padding {layer.padding[0][0]}"
    return layer.name


def _window(size: tuple[int, int], layer: keras.layers.Layer) -> str:
    """Return `3x3`, or `3x3/2` for strides of 2."""
    strides = layer.strides[0]
    return f"{size[0]}x{size[1]}" + (f"/{strides}" if strides > 1 else "")


def mermaid(block: Block) -> str:
    """Return the block as a Mermaid flowchart, which Markdown pages show as a picture."""
    lines = ["flowchart TD"]
    for number, box in enumerate(block.boxes):
        text = "<br/>".join(part for part in (box.text, box.then, box.size) if part)
        lines.append(f'    n{number}["{text}"]')
    lines += [f"    n{source} --> n{target}" for source, target in block.edges]
    return "\n".join(lines)
