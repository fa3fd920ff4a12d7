"""What does a study file look like to begin with? One with comments, for data or a training."""

from __future__ import annotations

import json

HEAD = """\
# A study: a training configuration in which some values are ranges. A trial is the same
# configuration with one value for each range. To run it:  hpsearch run {file}
name = {name}
"""
NETWORK = """
[data]
dataset    = {dataset}
# {about}
train      = {train}
validation = 0.2    # the fraction of these examples that ranks the trials
{rest}{task}{missing}
[network]
hidden  = [100, 100]                     # units of each hidden layer
dropout = {{ low = 0.0, high = 0.5 }}

[training]
optimizer    = {{ choices = ["sgd", "adam"] }}
lr           = {{ low = 1e-4, high = 1e-1, log = true }}
weight_decay = {{ low = 1e-8, high = 1e-2, log = true }}
batch_size   = {batch}
epochs       = 30

[search]
sampler = "tpe"      # or "random", "grid"
trials  = 50
"""
OWN = """
[objective]
function = {function}    # def {called}(params, seed): yields a dict of metrics after each epoch
metrics  = ["val_loss"]  # the names that it reports; the first one ranks the trials
# epochs = 30            # the most that it reports; a pruner needs it
# timeout = "30m"

[params]
lr    = {{ low = 1e-5, high = 1e-1, log = true }}
depth = {{ low = 1, high = 8 }}
kind  = {{ choices = ["a", "b"] }}

[search]
sampler = "tpe"      # or "random", "grid"
trials  = 50
# direction = "maximize"  # a metric whose name ends in "loss" is minimized, any other maximized
"""


def network(
    file: str,
    name: str,
    dataset: str,
    about: str,
    examples: int,
    *,
    test: bool,
    task: str,
    missing: bool = False,
) -> str:
    """A study of the network on data.

    Args:
        file: The file's name, as it is run.
        name: The study's.
        dataset: The data's, such as ``csv:FILE#LABEL``.
        about: What is known of it, in a line.
        examples: How many there are outside a test part of its own.
        test: Whether it has one.
        task: ``classification`` or ``regression``.
        missing: Whether values are.
    """
    train = max(examples if test else round(0.8 * examples), 1)
    sealed = examples - train
    left = f"# {sealed} examples are left as the sealed test part\n" if sealed else ""
    return HEAD.format(file=file, name=_text(name)) + NETWORK.format(
        dataset=_text(dataset),
        about=about,
        train=train,
        rest=left,
        task="" if task == "classification" else f"task       = {_text(task)}\n",
        missing='missing    = "mean"  # of the column, over the training part\n' if missing else "",
        batch=max(min(100, train // 5), 2),
    )


def function(file: str, name: str, function: str) -> str:
    """A study of a Python function, ``module:function``."""
    called = function.partition(":")[2]
    return HEAD.format(file=file, name=_text(name)) + OWN.format(
        function=_text(function), called=called
    )


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
