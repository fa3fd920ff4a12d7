"""Each optimizer against its formula, worked here number by number from the papers."""

import math
from collections.abc import Callable

import numpy as np
import pytest

import net

Formula = Callable[[float, list[float]], float]


def sgd(p: float, gradients: list[float]) -> float:
    """lr 0.1."""
    for g in gradients:
        p = p - 0.1 * g
    return p


def momentum(p: float, gradients: list[float]) -> float:
    """lr 0.1, μ 0.8."""
    v = 0.0
    for g in gradients:
        v = 0.8 * v - 0.1 * g
        p = p + v
    return p


def nesterov(p: float, gradients: list[float]) -> float:
    """lr 0.1, μ 0.8, as the book's code has it: p += μ² v - (1 + μ) lr g with the v of before."""
    v = 0.0
    for g in gradients:
        p = p + 0.8 * 0.8 * v - (1 + 0.8) * 0.1 * g
        v = 0.8 * v - 0.1 * g
    return p


def adagrad(p: float, gradients: list[float]) -> float:
    """lr 0.1."""
    for t, g in enumerate(gradients):
        p = p - 0.1 * g / (math.sqrt(sum(h * h for h in gradients[: t + 1])) + 1e-7)
    return p


def rmsprop(p: float, gradients: list[float]) -> float:
    """lr 0.1, ρ 0.95."""
    h = 0.0
    for g in gradients:
        h = 0.95 * h + 0.05 * g * g
        p = p - 0.1 * g / (math.sqrt(h) + 1e-7)
    return p


def adam(p: float, gradients: list[float], weight_decay: float = 0.0) -> float:
    """lr 0.1, β1 0.85, β2 0.99; Kingma and Ba's algorithm 1 as it stands."""
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m = 0.85 * m + (1 - 0.85) * g
        v = 0.99 * v + (1 - 0.99) * g * g
        step = (m / (1 - 0.85**t)) / (math.sqrt(v / (1 - 0.99**t)) + 1e-8)
        p = p - 0.1 * (step + weight_decay * p)
    return p


def adamw(p: float, gradients: list[float]) -> float:
    """Adam with λ 0.3; Loshchilov and Hutter's algorithm 2."""
    return adam(p, gradients, weight_decay=0.3)


@pytest.mark.parametrize("formula", [sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw])
def test_steps_follow_the_formula(formula: Formula) -> None:
    """Five steps change each parameter as the formula says, over arrays longer than a block too."""
    name = formula.__name__
    optimizer = net.make_optimizer(
        name,
        lr=0.1,
        momentum=0.8,
        decay=0.95,
        beta1=0.85,
        beta2=0.99,
        weight_decay=0.3 if name == "adamw" else 0.0,
    )
    rng = np.random.default_rng(0)
    parameters, gradients = rng.normal(size=150_000), np.empty(150_000)
    first, history = parameters.copy(), rng.normal(size=(5, 150_000))
    for history_of_step in history:
        gradients[:] = history_of_step
        optimizer.step(parameters, gradients)
    for i in (0, 1, 65_535, 65_536, 149_999):
        expected = formula(first[i], history[:, i].tolist())
        assert parameters[i] == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", net.OPTIMIZERS)
def test_scale_is_a_factor_of_the_learning_rate(name: str) -> None:
    """Steps of lr 1 at scale 0.1 are those of lr 0.1."""
    results = []
    for lr, scale in ((1.0, 0.1), (0.1, 1.0)):
        optimizer = net.make_optimizer(name, lr=lr)
        parameters, gradients = np.linspace(-1, 1, 7), np.empty(7)
        for _ in range(3):
            gradients[:] = np.linspace(2, -1, 7)
            optimizer.step(parameters, gradients, scale)
        results.append(parameters)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)


@pytest.mark.parametrize("name", net.OPTIMIZERS)
def test_float32_stays_float32_and_finite_without_gradient(name: str) -> None:
    """Parameters without gradient stay where they are: no division of 0 by 0."""
    parameters, gradients = np.ones(3, np.float32), np.zeros(3, np.float32)
    net.make_optimizer(name, lr=0.1).step(parameters, gradients)
    assert parameters.dtype == np.float32
    assert parameters.tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", net.OPTIMIZERS)
def test_a_penalty_is_part_of_the_gradient(name: str) -> None:
    """A step with a penalty on the first parameters is one down the sum of both gradients."""
    optimizers = [net.make_optimizer(name, lr=0.1) for _ in range(2)]
    both, by_hand = np.empty((2, 7)), np.linspace(-1, 1, 7)
    both[0] = by_hand
    (parameters, gradients), penalty = both, net.L2Penalty(both[:, :5], 0.3)
    whole = np.empty(7)
    for _ in range(3):
        gradients[:] = np.linspace(2, -1, 7)
        whole[:] = gradients + 0.3 * np.r_[by_hand[:5], 0, 0]
        optimizers[0].step(parameters, gradients, 0.5, penalty)
        optimizers[1].step(by_hand, whole, 0.5)
        np.testing.assert_allclose(parameters, by_hand, rtol=1e-12)


@pytest.mark.parametrize("penalized", [False, True])
@pytest.mark.parametrize("name", net.OPTIMIZERS)
def test_an_optimizer_serves_one_network(name: str, penalized: bool) -> None:
    """A step with other arrays than the first one's is an error, and changes nothing."""
    optimizer = net.make_optimizer(name, lr=0.1)
    optimizer.step(*np.ones((2, 3)))
    others = np.ones((2, 3))
    penalty = net.L2Penalty(others, 0.1) if penalized else None
    with pytest.raises(ValueError, match="first step"):
        optimizer.step(*others, penalty=penalty)
    assert others.tolist() == np.ones((2, 3)).tolist()


@pytest.mark.parametrize(
    ("name", "hyperparameters", "message"),
    [
        ("sdg", {}, "sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw"),
        ("sgd", {"lr": 0.0}, "lr is 0.0"),
        ("sgd", {"lr": math.inf}, "lr is inf"),
        ("sgd", {"weight_decay": 0.1}, "sgd has no decoupled weight decay"),
        ("momentum", {"momentum": 1.0}, "momentum is 1.0"),
        ("rmsprop", {"decay": -0.1}, "decay is -0.1"),
        ("adam", {"beta1": 1.0}, "beta1 is 1.0"),
        ("adam", {"beta2": math.nan}, "beta2 is nan"),
        ("adamw", {"weight_decay": -1.0}, "weight_decay is -1.0"),
    ],
)
def test_bad_hyperparameters(name: str, hyperparameters: dict[str, float], message: str) -> None:
    """A bad name or value is an error that says what was given and what may be."""
    with pytest.raises(ValueError, match=message):
        net.make_optimizer(name, **{"lr": 0.1, **hyperparameters})


@pytest.mark.parametrize("name", net.OPTIMIZERS)
def test_what_is_left_out_is_as_in_the_papers(name: str) -> None:
    """μ 0.9, ρ 0.99, β 0.9 and 0.999, the ε of the book or of Adam, and AdamW's own λ of 0.01."""
    given = {"lr": 0.1, "momentum": 0.9, "decay": 0.99, "beta1": 0.9, "beta2": 0.999}
    epsilon = 1e-8 if name in ("adam", "adamw") else 1e-7
    made = net.make_optimizer(name, lr=0.1)
    alone = type(made)(lr=0.1)
    for attribute, expected in {**given, "epsilon": epsilon}.items():
        for optimizer in (made, alone):
            assert getattr(optimizer, attribute, expected) == expected
    assert getattr(made, "weight_decay", 0.0) == 0.0
    assert getattr(alone, "weight_decay", 0.01) == 0.01


@pytest.mark.parametrize("name", net.OPTIMIZERS)
def test_what_is_given_is_taken(name: str) -> None:
    """Every hyperparameter that an optimizer has; by name, all but ε."""
    made = net.make_optimizer(name, lr=0.1)
    kept = {"lr": 0.2, "momentum": 0.8, "decay": 0.7, "beta1": 0.6, "beta2": 0.5, "epsilon": 0.4}
    given = {word: value for word, value in kept.items() if hasattr(made, word)}
    named = {word: value for word, value in given.items() if word != "epsilon"}
    for optimizer, taken in (
        (type(made)(**given), given),
        (net.make_optimizer(name, **named), named),
    ):
        assert {word: getattr(optimizer, word) for word in taken} == taken


def test_epsilon_must_be_positive() -> None:
    """An ε of 0 would divide 0 by 0."""
    with pytest.raises(ValueError, match="epsilon is 0"):
        net.AdaGrad(lr=0.1, epsilon=0.0)


def test_weight_decay_goes_one_way() -> None:
    """One λ is the penalty of every optimizer but AdamW, whose own decay it is."""
    for name in net.OPTIMIZERS:
        penalty, decoupled = net.part_weight_decay(name, 0.25)
        assert (penalty, decoupled) == ((0.0, 0.25) if name == "adamw" else (0.25, 0.0))
        net.make_optimizer(name, lr=0.1, weight_decay=decoupled)
