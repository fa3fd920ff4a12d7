"""What do the book's scripts show beside training? Figures, drawn with ``net``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import net
from net.arrays import Array

COLOURS = "#0072b2", "#d55e00"
STEPS = 30
START = (-7.0, 2.0)
RATES = {"sgd": 0.95, "momentum": 0.1, "adagrad": 1.5, "adam": 0.3}
"""The learning rates of the book's script (6.1.7)."""


def bowl(p: Array) -> float:
    """x² / 20 + y² (6.1.3)."""
    return float(p[0] ** 2 / 20 + p[1] ** 2)


def path(name: str) -> Array:
    """Where an optimizer goes on the bowl: (STEPS + 1, 2), the start first."""
    optimizer = net.make_optimizer(name, lr=RATES[name])
    p, g = np.array(START), np.empty(2)
    seen = [p.copy()]
    for _ in range(STEPS):
        g[:] = net.numerical_gradient(bowl, p)
        optimizer.step(p, g)
        seen.append(p.copy())
    return np.array(seen)


def gradient_field() -> Any:
    """Figure 4-9: minus the gradient of x² + y²."""
    figure, axes = _figure(5, 5)
    ticks = np.arange(-2, 2.25, 0.25)
    points = np.array([(x, y) for x in ticks for y in ticks])
    arrows = -net.numerical_gradient(lambda p: float((p**2).sum()), points)
    axes.quiver(*points.T, *arrows.T, angles="xy", color=COLOURS[0])
    axes.set(xlabel="x", ylabel="y", title="minus the gradient of x² + y²")
    return figure


def optimizer_paths() -> Any:
    """Figures 6-3 to 6-8: the way of each optimizer down the bowl."""
    figure, grid = _figure(9, 6, 2, 2)
    x, y = np.meshgrid(np.linspace(-8, 8, 97), np.linspace(-4, 4, 49))
    for axes, (name, lr) in zip(grid.flat, RATES.items(), strict=True):
        axes.contour(x, y, x**2 / 20 + y**2, levels=[0.25, 1, 2, 4, 8, 16], colors="#bbbbbb")
        axes.plot(*path(name).T, "o-", color=COLOURS[1], markersize=3, linewidth=1.2)
        axes.plot(0, 0, "+", color="black")
        axes.set(title=f"{name}, lr {lr}", ylim=(-4, 4))
    return figure


def gradient_check() -> Any:
    """5.7.3: the relative error of each parameter's gradient, as bars with their numbers."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    figure, axes = _figure(8, 4)
    types: tuple[Any, ...] = (np.float64, np.float32)
    for index, dtype in enumerate(types):
        network = net.Network(64, [50], 10, dtype=dtype, rng=np.random.default_rng(0))
        errors = net.gradient_check(network, digits.data[:3] / 16, digits.target[:3])
        places = np.arange(len(errors)) + 0.4 * index
        bars = axes.barh(
            places, list(errors.values()), 0.38, label=np.dtype(dtype).name, color=COLOURS[index]
        )
        axes.bar_label(bars, [f" {error:.0e}" for error in errors.values()])
        axes.set_yticks(np.arange(len(errors)) + 0.2, list(errors))
    axes.invert_yaxis()
    axes.set(xscale="log", xlim=(1e-14, 1e-5), xlabel="relative error of the gradient")
    axes.legend(loc="lower right")
    return figure


FIGURES = {
    "gradient": gradient_field,
    "optimizer-paths": optimizer_paths,
    "gradient-check": gradient_check,
}


def draw(folder: Path) -> None:
    """All of them, as SVG files."""
    import matplotlib as mpl
    from threadpoolctl import threadpool_limits

    folder.mkdir(exist_ok=True)
    # Neither the time nor random names: the same numbers are the same file.
    same: Any = {"svg.hashsalt": "hpsearch", "svg.fonttype": "none"}
    with mpl.rc_context(same), threadpool_limits(1):
        for name, figure in FIGURES.items():
            figure().savefig(folder / f"{name}.svg", metadata={"Date": None})


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    return figure, figure.subplots(rows, columns)
