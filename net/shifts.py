"""Images moved by a few pixels: another training example each time one is seen."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

from net.arrays import Array, Labels, Take


class Shifts:
    """Moves each image by whole pixels, up or down and left or right; what comes in is 0.

    The simplest of the distortions of Simard, Steinkraus and Platt (2003): a digit remains what it
    is when it is moved. Each time an image is taken, both distances are drawn anew, with equal
    probability from -most to most.

    Args:
        shape: height, width, and more where a pixel is not one number, of an image; the images are
            rows (n, height * width * …) in that order.
        most: pixels.
        rng: draws the distances, for a batch of size n as its `integers(0, 2 * most + 1, (2, n))`.

    Raises:
        ValueError: there is no such image, or it could be moved out of sight.
    """

    def __init__(self, shape: Sequence[int], most: int, rng: np.random.Generator) -> None:
        if len(shape) < 2:
            raise ValueError(f"an example of shape {tuple(shape)} is no image")
        if not 0 <= most < min(shape[:2]):
            raise ValueError(f"most is {most}: an image of {shape[0]} × {shape[1]} has no such")
        self.height, self.width, self.depth = *shape[:2], math.prod(shape[2:])
        self.most, self.rng = most, rng

    def of(self, x: Array) -> Take:
        """What takes some rows of x, each moved.

        The images lie in memory with a margin of zeros. To move one is to read it from another
        place: `windows[k]` is the image-sized part that begins at the k-th number.

        Raises:
            ValueError: the rows of x are not such images.
        """
        if x.shape[1] != self.height * self.width * self.depth:
            raise ValueError(
                f"an example has {x.shape[1]} numbers, not {self.height} × {self.width}"
            )
        most, height, row = self.most, self.height, self.width * self.depth
        margin = most * self.depth
        framed = np.zeros((len(x), height + 2 * most, row + 2 * margin), x.dtype)
        framed[:, most : most + height, margin : margin + row] = x.reshape(len(x), height, row)
        _, framed_row, number = framed.strides
        last = (height - 1) * framed.shape[2] + row
        windows = as_strided(
            framed,
            (framed.size - last + 1, height, row),
            (number, framed_row, number),
            writeable=False,
        )
        image = framed.shape[1] * framed.shape[2]

        def take(rows: Labels, out: Array) -> None:
            down, right = self.rng.integers(0, 2 * most + 1, (2, len(rows)))
            places = rows * image + down * framed.shape[2] + right * self.depth
            out.reshape(len(rows), height, row)[...] = windows[places]

        return take
