"""The computational graph, on the book's examples (5.1 to 5.5)."""

import math

import pytest

from net import Node, numerical_derivative


def test_two_apples_with_tax() -> None:
    """Two apples at 100 with 10 % tax cost 220; derivatives 2.2, 110 and 200 (Fig. 5-3)."""
    apple, number, tax = Node(100), Node(2), Node(1.1)
    price = apple * number * tax
    price.backward()
    assert price.value == pytest.approx(220)
    assert [n.gradient for n in (apple, number, tax)] == pytest.approx([2.2, 110, 200])


def test_apples_and_oranges() -> None:
    """Two apples and three oranges at 150 cost 715 with tax (Fig. 5-17)."""
    apple, apples, orange, oranges, tax = map(Node, (100, 2, 150, 3, 1.1))
    price = (apple * apples + orange * oranges) * tax
    price.backward()
    assert price.value == pytest.approx(715)
    gradients = [n.gradient for n in (apple, apples, orange, oranges, tax)]
    assert gradients == pytest.approx([2.2, 110, 3.3, 165, 650])


def test_sigmoid_of_simple_nodes() -> None:
    """Sigmoid put together from its nodes has the derivative y (1 - y) (5.5.2)."""
    x, minus, one = Node(0.7), Node(-1), Node(1)
    y = one / (one + (x * minus).exp())
    y.backward()
    assert y.value == pytest.approx(1 / (1 + math.exp(-0.7)))
    assert x.gradient == pytest.approx(y.value * (1 - y.value))


def test_node_used_twice_sums_its_derivatives() -> None:
    """x x + x has the derivative 2 x + 1, also when backward runs again."""
    x = Node(3)
    y = x * x + x
    y.backward()
    y.backward()
    assert x.gradient == 7


def test_agrees_with_numerical_differentiation() -> None:
    """exp(x) / (x + x exp(x)) has the derivative that the central difference finds."""

    def f(x: Node) -> Node:
        shared = x.exp()
        return shared / (x + x * shared)

    x = Node(0.3)
    f(x).backward()
    assert x.gradient == pytest.approx(numerical_derivative(lambda v: f(Node(v)).value, 0.3))
