"""How the learning rate changes over a training: factors of it, by mini-batch."""

import math

SCHEDULES = ("constant", "step", "cosine")


def learning_rate_factor(schedule: str, step: int, steps: int, warmup: int = 0) -> float:
    """The factor on the learning rate at a step, counted from 0, of `steps`.

    The first `warmup` steps climb in equal parts to 1; the schedule takes the rest:
    - "constant": 1;
    - "step": 1, from the half on 0.1, from three quarters on 0.01 (He et al., 2016);
    - "cosine": (1 + cos(π progress)) / 2, from 1 towards 0 (Loshchilov and Hutter, 2017).
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / (steps - warmup)
    if schedule == "step":
        return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01
    if schedule == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    return 1.0
