"""A computational graph of numbers: values forward, derivatives backward (5.1 to 5.5).

The network's layers are the same idea over arrays, with the graph written out by hand.
"""

import math
from collections.abc import Callable


class Node:
    """A number that remembers what it was computed from.

    Two apples at 100 with 10 % tax (Fig. 5-3); the price of an apple counts 2.2 times:

        >>> apple, number, tax = Node(100), Node(2), Node(1.1)
        >>> price = apple * number * tax
        >>> price.backward()
        >>> round(price.value, 9), round(apple.gradient, 9)
        (220.0, 2.2)

    Attributes:
        value: the number.
        gradient: d(output) / d(this) after `output.backward()`.
    """

    def __init__(
        self,
        value: float,
        sources: "tuple[Node, ...]" = (),
        propagate: Callable[[float], tuple[float, ...]] = lambda _: (),
    ) -> None:
        self.value = value
        self.gradient = 0.0
        self._sources = sources
        self._propagate = propagate  # dL/d(this) -> dL/d(source), for each source

    def __add__(self, other: "Node") -> "Node":
        """x + y passes the derivative on as it is (5.3.1)."""
        return Node(self.value + other.value, (self, other), lambda d: (d, d))

    def __mul__(self, other: "Node") -> "Node":
        """x y passes it on times the other factor (5.3.2)."""
        x, y = self.value, other.value
        return Node(x * y, (self, other), lambda d: (d * y, d * x))

    def __truediv__(self, other: "Node") -> "Node":
        """x / y: the derivative by y is -x / y², which is -1 / y² for the book's 1 / y (5.5.2)."""
        x, y = self.value, other.value
        return Node(x / y, (self, other), lambda d: (d / y, -d * x / y**2))

    def exp(self) -> "Node":
        """exp(x) is its own derivative (5.5.2)."""
        y = math.exp(self.value)
        return Node(y, (self,), lambda d: (d * y,))

    def backward(self) -> None:
        """The chain rule from this node back to all it was computed from (5.2)."""
        order = self._ancestry()
        for node in order:
            node.gradient = 0.0
        self.gradient = 1.0
        for node in reversed(order):
            derivatives = node._propagate(node.gradient)
            for source, derivative in zip(node._sources, derivatives, strict=True):
                source.gradient += derivative

    def _ancestry(self) -> "list[Node]":
        """All nodes this one depends on, each after its own sources; this one last."""
        order: dict[Node, None] = {}

        def visit(node: Node) -> None:
            if node not in order:
                for source in node._sources:
                    visit(source)
                order[node] = None

        visit(self)
        return list(order)
