"""Operations that a format does not have."""

from collections.abc import Sequence


class Unsupported(Exception):
    """A format has no such operation.

    Attributes:
        operation: its name in TensorFlow.
        nodes: the nodes of the graph that are one; the first that belongs to a layer is reported.
    """

    def __init__(self, operation: str, nodes: Sequence[str]) -> None:
        self.operation, self.nodes = operation, nodes
        super().__init__(f"no operation {operation}: {', '.join(nodes)}")
