"""Fully connected networks in NumPy, from chapters 4 to 6 of "Deep Learning from Scratch" (Saitoh).

Section and figure numbers in this package are that book's.
"""

from net.gradient import gradient_check, numerical_derivative, numerical_gradient
from net.graph import Node
from net.initializers import standard_deviation
from net.layers import ACTIVATIONS, Affine, BatchNorm, Damping, Dropout, Layer, ReLU, Sigmoid, Tanh
from net.losses import LOSSES, L2Penalty, MeanSquaredError, SoftmaxCrossEntropy
from net.network import Chain, Network
from net.optimizers import (
    OPTIMIZERS,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Momentum,
    Nesterov,
    Optimizer,
    RMSProp,
    make_optimizer,
    part_weight_decay,
)
from net.schedules import SCHEDULES, learning_rate_factor
from net.scores import class_counts, macro_f1
from net.shifts import Shifts
from net.training import Epoch, Progress, fit

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Affine",
    "BatchNorm",
    "Chain",
    "Damping",
    "Dropout",
    "Epoch",
    "L2Penalty",
    "Layer",
    "MeanSquaredError",
    "Momentum",
    "Nesterov",
    "Network",
    "Node",
    "Optimizer",
    "Progress",
    "RMSProp",
    "ReLU",
    "Shifts",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "Tanh",
    "class_counts",
    "fit",
    "gradient_check",
    "learning_rate_factor",
    "macro_f1",
    "make_optimizer",
    "numerical_derivative",
    "numerical_gradient",
    "part_weight_decay",
    "standard_deviation",
]
