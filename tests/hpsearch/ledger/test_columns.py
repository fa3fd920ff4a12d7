"""What may stand in each column of the ledger, and what may not, at its ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hpsearch.ledger.columns import LAST, STUDY, TRIAL, fits, show
from hpsearch.ledger.records import Ended, Fold, Opened, Opening, State
from hpsearch.study.config import Choices, Range, dumps
from tests.conftest import study

SHOWN = Opened("test_accuracy", 3, 0.5, 0.4, 0.6, 0.1, 0.9, 5, 900, 60, None)
OPENED = {
    "study": "small/test",
    "opened": 2.5,
    "result": {
        "metric": "test_accuracy",
        "trial": 3,
        "value": 0.5,
        "low": 0.4,
        "high": 0.6,
        "baseline": 0.1,
        "better": 0.9,
        "seeds": 5,
        "examples": 900,
        "trained": 60,
        "out": None,
    },
}
LONE = "\udcff"
"""What SQLite gives of a byte that is no UTF-8."""


def opened(**changes: Any) -> str:
    """An opening's list with one entry of its result changed."""
    return json.dumps([{**OPENED, "result": {**OPENED["result"], **changes}}])  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("reads", "content", "expected"),
    [
        (TRIAL["number"], 0, 0),
        (TRIAL["number"], 2**31 - 1, 2**31 - 1),
        (TRIAL["seed"], 2**63 - 1, 2**63 - 1),
        (TRIAL["state"], "PRUNED", State.PRUNED),
        (TRIAL["value"], None, None),
        (TRIAL["value"], -1.5, -1.5),
        (TRIAL["started"], 0.0, 0.0),
        (TRIAL["started"], LAST, LAST),
        (TRIAL["reason"], "größe", "größe"),
        (TRIAL["hidden"], 1, True),
        (TRIAL["hidden"], 0, False),
        (TRIAL["hidden"], True, True),
        (TRIAL["rungs"], '{"completed_rung_0": 1, "b": 0.5}', {"completed_rung_0": 1, "b": 0.5}),
        (TRIAL["params"], "{}", {}),
        (TRIAL["folds"], None, ()),
        (TRIAL["folds"], "[[3,1,0.5],[0,2,1]]", (Fold(3, 1, 0.5), Fold(0, 2, 1.0))),
        (STUDY["budget"], 1, 1),
        (STUDY["metrics"], '["loss","score"]', ("loss", "score")),
        (
            STUDY["data_digests"],
            '{"dataset":"d","facts":{"a":1}}',
            {"dataset": "d", "facts": {"a": 1}},
        ),
        (STUDY["reproduced"], '{"number":1,"identical":true}', {"number": 1, "identical": True}),
        (STUDY["ended"], None, None),
        (STUDY["ended"], '{"by":"max_time","at":1}', Ended("max_time", 1)),
        (STUDY["openings"], None, ()),
        (STUDY["openings"], json.dumps([OPENED]), (Opening("small/test", 2.5, SHOWN),)),
        (
            STUDY["openings"],
            '[{"study":"a","opened":0.0,"result":null}]',
            (Opening("a", 0.0, None),),
        ),
        (STUDY["definition"], dumps(study().definition()), study()),
    ],
)
def test_what_is_read(reads: Any, content: object, expected: object) -> None:
    """As what it means, and of its type."""
    found = reads(content)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("reads", "content"),
    [
        (TRIAL["number"], -1),
        (TRIAL["number"], 2**31),
        (TRIAL["number"], 1.0),
        (TRIAL["number"], True),
        (TRIAL["number"], None),
        (TRIAL["seed"], 2**63),
        (TRIAL["state"], "SLEEPING"),
        (TRIAL["value"], float("nan")),
        (TRIAL["value"], float("inf")),
        (TRIAL["value"], 1),
        (TRIAL["started"], -0.5),
        (TRIAL["started"], LAST * 1.001),
        (TRIAL["started"], None),
        (TRIAL["reason"], b"bytes"),
        (TRIAL["reason"], LONE),
        (TRIAL["hidden"], 2),
        (TRIAL["hidden"], 1.0),
        (TRIAL["hidden"], "1"),
        (TRIAL["hidden"], None),
        (TRIAL["rungs"], '{"a": true}'),
        (TRIAL["rungs"], '{"a": "1"}'),
        (TRIAL["rungs"], "[]"),
        (TRIAL["params"], '{"a": NaN}'),
        (TRIAL["params"], "{" * 100_000),
        (TRIAL["params"], '{"\\udcff": 1}'),
        (TRIAL["folds"], "[[3,0,0.5]]"),
        (TRIAL["folds"], "[[-1,1,0.5]]"),
        (TRIAL["folds"], "[[3,1]]"),
        (TRIAL["folds"], "[[3,1,Infinity]]"),
        (TRIAL["folds"], "7"),
        (STUDY["budget"], 0),
        (STUDY["metrics"], "[]"),
        (STUDY["metrics"], '["loss","loss"]'),
        (STUDY["metrics"], '["loss",1]'),
        (STUDY["metrics"], '{"loss":1}'),
        (STUDY["data_digests"], '{"dataset":1}'),
        (STUDY["data_digests"], '{"facts":[]}'),
        (STUDY["reproduced"], '{"number":"1","identical":true}'),
        (STUDY["reproduced"], '{"number":1,"identical":1}'),
        (STUDY["ended"], '{"by":"max_time","at":0}'),
        (STUDY["ended"], '{"by":"chance","at":1}'),
        (STUDY["ended"], '{"by":"max_time","at":1,"why":1}'),
        (STUDY["openings"], '{"study":"a"}'),
        (STUDY["openings"], '[{"study":"a","opened":-1.0,"result":null}]'),
        (STUDY["openings"], '[{"study":1,"opened":1.0,"result":null}]'),
        (STUDY["openings"], opened(value="0.5")),
        (STUDY["openings"], opened(seeds=-1)),
        (STUDY["openings"], opened(metric=None)),
        (STUDY["openings"], opened(trial=-1)),
        (STUDY["openings"], opened(better=2)),
        (STUDY["openings"], opened(out=1)),
        (STUDY["definition"], "{}"),
        (STUDY["definition"], "7"),
        (STUDY["mlflow_run_id"], 7),
    ],
)
def test_what_is_refused(reads: Any, content: object) -> None:
    """With what stands there, in a line of no great length."""
    with pytest.raises(ValueError, match=r"is |holds ") as told:
        reads(content)
    assert len(str(told.value)) < 200
    assert str(told.value).isprintable()


@pytest.mark.parametrize(
    ("value", "open_", "fine"),
    [
        (0.5, Range(0.0, 1.0), True),
        (1, Range(0.0, 1.0), True),
        (5.5, Range(0.0, 1.0), True),  # how far it may go is another question
        (float("inf"), Range(0.0, 1.0), False),
        (float("nan"), Range(0.0, 1.0), False),
        (True, Range(0.0, 1.0), False),
        ("a", Range(0.0, 1.0), False),
        (3, Range(1, 5), True),
        (3.0, Range(1, 5), False),
        (2**63 - 1, Range(1, 5), True),
        (2**63, Range(1, 5), False),
        (-(2**63), Range(1, 5), False),
        ("a", Choices(("a", "b")), True),
        ("c", Choices(("a", "b")), False),
        (1, None, False),
    ],
)
def test_params_are_of_the_kind_that_is_searched(value: Any, open_: Any, fine: bool) -> None:
    """A number for a range, one of the choices for choices."""
    assert fits(value, open_) is fine


def test_long_contents_are_shown_in_part() -> None:
    """Up to sixty characters are shown whole."""
    assert show("x" * 58) == "'" + "x" * 58 + "'"
    assert show("x" * 59) == "'" + "x" * 56 + "..."
    assert show("é") == "'\\xe9'"
