"""Shifts: each image whole, at another place, and nothing else."""

from typing import Any

import numpy as np
import pytest

import net
from net.arrays import Array


def moved(images: Array, most: int, rng: np.random.Generator) -> Array:
    """The images of a batch (n, height, width, …), moved one by one, as it is written plainly."""
    distances = rng.integers(0, 2 * most + 1, (2, len(images))) - most
    results = np.zeros_like(images)
    for image, result, (down, right) in zip(images, results, distances.T, strict=True):
        for y, x in np.ndindex(image.shape[:2]):
            if 0 <= y + down < image.shape[0] and 0 <= x + right < image.shape[1]:
                result[y, x] = image[y + down, x + right]
    return results


@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 3), (2, 2)])
@pytest.mark.parametrize("most", [0, 1])
def test_images_are_moved_whole(shape: tuple[int, ...], most: int) -> None:
    """What is taken is what a loop over all pixels gives, in gray and in colour."""
    images = np.random.default_rng(0).random((6, *shape))
    take = net.Shifts(shape, most, np.random.default_rng(1)).of(images.reshape(6, -1))
    out = np.empty((20, images[0].size))
    rows = np.random.default_rng(2).integers(0, 6, 20)
    rng = np.random.default_rng(1)
    for _ in range(5):
        take(rows, out)
        np.testing.assert_array_equal(out, moved(images[rows], most, rng).reshape(20, -1))


def test_all_distances_are_equally_likely() -> None:
    """Of 5,000 draws each of the 25 places gets its share, within five standard deviations."""
    image = np.zeros((1, 5, 5))
    image[0, 2, 2] = 1.0
    out = np.empty((5000, 25))
    net.Shifts((5, 5), 2, np.random.default_rng(3)).of(image.reshape(1, 25))(
        np.zeros(5000, int), out
    )
    assert abs(out.sum(axis=0) - 200).max() < 5 * np.sqrt(200 * 24 / 25)


def train(**changes: Any) -> tuple[list[net.Epoch], net.Network]:
    """A small training on images of 3 × 4."""
    x = np.random.default_rng(0).random((10, 12))
    network = net.Network(12, [4], 2, rng=np.random.default_rng(0), dtype=np.float64)
    parts = (x, np.arange(10) % 2), (x[:3], np.arange(3) % 2)
    arguments = {"epochs": 3, "batch_size": 4, "dropout_rng": np.random.default_rng(2)}
    shuffle = np.random.default_rng(1)
    optimizer = net.make_optimizer("sgd", lr=0.1)
    epochs = net.fit(network, optimizer, *parts, shuffle_rng=shuffle, **(arguments | changes))
    return list(epochs), network


def test_no_shift_changes_nothing() -> None:
    """Images that are moved by 0 pixels give the bits of those that are not moved."""
    still, moved_by_0 = train(), train(shifts=net.Shifts((3, 4), 0, np.random.default_rng(3)))
    assert still[0] == moved_by_0[0]


def test_evaluation_is_of_the_images_as_they_are() -> None:
    """Measured are the images at their own place; trained on are others, the same each time."""
    first, again = (train(shifts=net.Shifts((3, 4), 2, np.random.default_rng(3))) for _ in range(2))
    assert first[0] == again[0]
    assert first[0] != train()[0]
    probabilities = first[1].predict_proba(np.random.default_rng(0).random((10, 12))[:3])
    losses = -np.log(probabilities[np.arange(3), np.arange(3) % 2])
    assert first[0][-1].val_loss == pytest.approx(losses.mean())


@pytest.mark.parametrize(
    ("shape", "most", "message"),
    [((12,), 1, "is no image"), ((3, 4), 3, "most is 3"), ((3, 4), -1, "most is -1")],
)
def test_bad_shifts(shape: tuple[int, ...], most: int, message: str) -> None:
    """What is no image, or would be moved out of sight, is refused at once."""
    with pytest.raises(ValueError, match=message):
        net.Shifts(shape, most, np.random.default_rng(0))


def test_images_of_another_size() -> None:
    """Examples that are no images of that size are refused before any training."""
    with pytest.raises(ValueError, match="12 numbers, not 3 × 3"):
        train(shifts=net.Shifts((3, 3), 1, np.random.default_rng(0)))
