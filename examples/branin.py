"""Branin's function with noise: a search space to try samplers on, in no time.

L. Dixon and G. Szegö, Towards Global Optimisation 2, 1978; its three minima are 0.397887.
"""

import math
import random


def noisy(params, seed):
    """One epoch; ``random`` is seeded with the trial's seed."""
    x, y = params["x"], params["y"]
    bent = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    value = bent**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
    return {"value_seen": value + random.gauss(0, params["noise"]), "value_true": value}
