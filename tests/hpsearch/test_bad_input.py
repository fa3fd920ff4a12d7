"""Bad input, from the command line: one line that says what and where, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hpsearch.command_line import Call, one_line

OWN = '[objective]\nfunction = "mine:train"\nmetrics = ["loss"]\n'
COMMAND = (
    '[objective]\ncommand = ["./go.sh", "{params.lr}"]\nmetrics = ["loss"]\n[params]\nlr = 1\n'
)
TRAIN = "def train(params, seed): return {'loss': 1}\n"
NETWORK = "[network]\nhidden = [4]\n[training]\nlr = 0.1\nepochs = 1\n"
TABLE = '[data]\ndataset = "csv:data.csv#label"\ntrain = 4\nvalidation = 2\n' + NETWORK
ROWS = "a,label\n" + "".join(f"{n},{'xy'[n % 2]}\n" for n in range(12))

BAD = {
    "a module that does not import": (
        OWN,
        {"mine.py": "import json\nimport nothing_like_it\n"},
        "objective.function: mine:train: ModuleNotFoundError: No module named 'nothing_like_it' "
        "(mine.py:2 in <module>)",
    ),
    "a module that is not there": (
        OWN,
        {},
        "objective.function: mine:train: ModuleNotFoundError: No module named 'mine'",
    ),
    "a function that is no function": (
        OWN,
        {"mine.py": "train = 5\n"},
        "objective.function: mine:train: TypeError: mine:train is not a function",
    ),
    "metrics that are not declared": (
        '[objective]\nfunction = "mine:train"\n',
        {"mine.py": TRAIN},
        "objective.metrics: is missing",
    ),
    "a network beside an objective": (
        OWN + NETWORK,
        {"mine.py": TRAIN},
        "network: cannot be combined with [objective]",
    ),
    "a placeholder that does not exist": (
        COMMAND.replace("params.lr", "params.rate"),
        {"go.sh": "#!/bin/sh\n"},
        "objective.command[1]: unknown placeholder {params.rate}",
    ),
    "a command that is not found": (
        COMMAND,
        {},
        "objective.command: ./go.sh: no such program",
    ),
    "files that match nothing": (
        OWN.replace("[objective]", '[objective]\nfiles = ["data/*.csv"]'),
        {"mine.py": TRAIN},
        "objective.files: 'data/*.csv' matches no file",
    ),
    "a table without the label's column": (
        TABLE,
        {"data.csv": ROWS.replace("label", "kind")},
        "data.csv: no column 'label' (there: a, kind)",
    ),
    "a table with ragged rows": (
        TABLE,
        {"data.csv": ROWS + "1,x,3\n"},
        "data.csv: line 14 has 3 cells, and the first line has 2",
    ),
    "a table of no rows": (
        TABLE,
        {"data.csv": "a,label\n"},
        "data.csv: contains no examples",
    ),
    "a table with one class": (
        TABLE,
        {"data.csv": ROWS.replace("y\n", "x\n")},
        "data.csv: every label is x",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Nothing is run, and no trial is begun."""
    text, files, said = BAD[what]
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "bad.toml").write_text(f'name = "bad"\n{text}')
    monkeypatch.chdir(tmp_path)
    ended = call("run", "bad.toml", "--no-tracking")
    assert ended.code == 2
    assert said in one_line(ended)
    assert call("trials", "bad").code == 2
