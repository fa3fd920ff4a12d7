"""What does a trained network say of new examples?

A model that is served takes this module along, with ``net`` and ``data/preparation``, in a package
of another name: it needs NumPy and safetensors, and no other part of hpsearch. That is why it
imports that module relatively.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import net

from ..data.preparation import Preparation

WEIGHTS, DESCRIPTION = "weights.safetensors", "network.json"


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """A network with what stands before and behind it; or several, whose outputs are averaged.

    Args:
        shapes: What ``built`` makes each network from.
        networks: They, trained, one at least.
        preparation: How an example becomes their input.
    """

    shapes: Sequence[Mapping[str, Any]]
    networks: Sequence[net.Network]
    preparation: Preparation

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; nothing of a regression."""
        return self.preparation.classes

    def probabilities(self, x: NDArray[Any]) -> NDArray[Any]:
        """The probability of each class, from examples as the dataset has them.

        Args:
            x: (n, …), the examples; of a table (n, columns), categories by their place.

        Returns:
            (n, classes), of the networks' dtype: the mean of what each of them says.
        """
        return self.outputs(self._inputs(x))

    def numbers(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """What a regression says, (n,), in units of the labels.

        Raises:
            ValueError: If it is a classification.
        """
        if self.preparation.target is None:
            raise ValueError("this network says classes, not numbers; take its probabilities")
        outputs = self.outputs(self._inputs(x))[:, 0]
        return self.preparation.target.original(outputs.astype(np.float64))

    def outputs(self, inputs: NDArray[np.float32]) -> NDArray[Any]:
        """The mean of the networks' outputs, from what goes into a network.

        Args:
            inputs: (n, features), prepared.

        Returns:
            (n, classes), probabilities; or of a regression (n, 1), as the labels were scaled.
        """
        regression = self.preparation.target is not None
        each = [n.predict(inputs) if regression else n.predict_proba(inputs) for n in self.networks]
        return np.asarray(np.mean(each, axis=0))

    def answers(self, x: NDArray[Any]) -> dict[str, list[Any]]:
        """What there is to say of examples (n, …), by name, a value each.

        ``label`` and its ``probability``, and then the probability of each class by its name with
        ``p(…)`` around it; of a regression, ``value``.
        """
        if self.preparation.target is not None:
            return {"value": self.numbers(x).tolist()}
        probabilities = self.probabilities(x)
        likeliest = probabilities.argmax(axis=1)
        rows = np.arange(len(likeliest))
        each = {f"p({name})": probabilities[:, i] for i, name in enumerate(self.classes)}
        return {
            "label": [self.classes[place] for place in likeliest],
            "probability": probabilities[rows, likeliest].astype(np.float64).tolist(),
            **{name: values.astype(np.float64).tolist() for name, values in each.items()},
        }

    def _inputs(self, x: NDArray[Any]) -> NDArray[np.float32]:
        rows = x.reshape(len(x), -1)
        width = len(self.preparation.features.categories)
        if rows.shape[1] != width:
            raise ValueError(f"an example has {rows.shape[1]} values; the network takes {width}")
        inputs = self.preparation.of(rows)
        odd = np.flatnonzero(~np.isfinite(inputs).all(axis=1))
        if odd.size:
            raise ValueError(
                f"example {odd[0]} has a missing value, or one that is too large to be scaled"
            )
        return inputs

    def save(self, folder: Path) -> None:
        """Write it to a folder."""
        save_file(dict(self.state), folder / WEIGHTS)
        shapes = [dict(shape) for shape in self.shapes]
        described = {"networks": shapes, "preparation": self.preparation.table()}
        (folder / DESCRIPTION).write_text(json.dumps(described, indent=1, ensure_ascii=False))

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """All arrays by name, with the place of their network in front."""
        return {
            f"{place}.{name}": array
            for place, network in enumerate(self.networks)
            for name, array in network.state.items()
        }

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Read it from a folder."""
        described = json.loads((folder / DESCRIPTION).read_text())
        arrays = load_file(folder / WEIGHTS)
        networks = []
        for place, shape in enumerate(described["networks"]):
            start = f"{place}."
            own = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
            networks.append(trained(shape, own))
        return cls(described["networks"], networks, Preparation.read(described["preparation"]))


def trained(shape: Mapping[str, Any], state: Mapping[str, NDArray[Any]]) -> net.Network:
    """A network from the arguments that it is made with, and its arrays by name."""
    network = built(shape, np.random.default_rng(0))
    network.load_state(state)
    return network


def built(shape: Mapping[str, Any], rng: np.random.Generator) -> net.Network:
    """A network from the arguments that it is made with, the ``dtype`` by its name."""
    dtypes = {"float64": np.float64, "float32": np.float32}
    return net.Network(**{**shape, "dtype": dtypes[shape["dtype"]]}, rng=rng)
