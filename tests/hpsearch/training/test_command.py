"""A command as a training: its arguments, its report, its end, and what must not be left of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import hpsearch
from hpsearch.errors import StudyFileError, UsageError
from hpsearch.ledger.records import State
from hpsearch.training.make import trainer
from tests.hpsearch.training.own import COMMAND, begun, ended, objective, rows

REPORT = "import os\nreport = open(os.environ['HPSEARCH_REPORT'], 'a')\n"
"""The head of a script that reports without hpsearch."""


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether it comes to hold."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def processes(mark: str) -> list[int]:
    """Those that have this mark among their arguments."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark in file.read_bytes().decode(errors="replace").split("\0"):
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found


def test_script_reports_by_lines(tmp_path: Path) -> None:
    """A line of JSON is an epoch; what it prints is the log, and its folder is its own."""
    source = REPORT + (
        "print('hello')\n"
        "for e in (1, 2): print('{\"loss\": %r}' % (1 / e), file=report, flush=True)\n"
        "assert os.listdir(os.environ['HPSEARCH_FOLDER']) == []\n"
        "assert os.environ['HPSEARCH_SEED'] == '7'\n"
        "assert os.path.exists('mine.py')\n"
    )
    result = ended(objective(COMMAND), tmp_path, source)
    assert (result.state, result.curve.tolist()) == (State.COMPLETE, [[1.0], [0.5]])
    assert (result.value, result.log, result.weights_sha256) == (0.5, b"hello\n", None)


def test_arguments_are_filled_in_and_never_split(tmp_path: Path) -> None:
    """Whatever is in a value, it is one argument; ``{{`` is a brace."""
    places = ["--lr={params.lr}", "{params.m.text}", "{{x}}", "{seed}", "{number}", "{params.on}"]
    places += ["{params.units}", "{config}", "{config.json}", "{folder}"]
    command = [*COMMAND["command"], *places]
    model = {"text": "$(id) `id` 'a \"b; *\n{seed}"}
    params = {"lr": 1e-5, "m": model, "on": True, "units": [8, 8]}
    source = REPORT + "import sys, json\nprint(json.dumps(sys.argv[1:-3]))\n"
    source += "print(json.dumps([open(sys.argv[-3]).read(), json.load(open(sys.argv[-2]))]))\n"
    source += "print('{\"loss\": 1}', file=report)\n"
    result = ended(objective(COMMAND, params, command=command), tmp_path, source)
    assert result.reason is None
    arguments, (toml, parsed) = map(json.loads, result.log.splitlines())
    assert arguments == ["--lr=1e-05", model["text"], "{x}", "7", "3", "true", "[8, 8]"]
    assert tomllib.loads(toml) == parsed == {"seed": 7, "number": 3, "params": params}


def test_hpsearch_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``hpsearch.log`` reports an epoch, and does nothing where no study has started the script."""
    source = "import hpsearch\nhpsearch.log(loss=0.5)\nhpsearch.log(loss=0.25)\n"
    assert rows(begun(objective(COMMAND), tmp_path, source)) == [[0.5], [0.25]]
    monkeypatch.delenv("HPSEARCH_REPORT", raising=False)
    hpsearch.log(loss=0.5)
    loaded = "import sys, hpsearch; hpsearch.log(a=1); print('numpy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize(("announced", "state"), [(0, "PRUNED"), (3, "COMPLETE")])
def test_a_trial_at_the_end_that_it_has_announced(
    tmp_path: Path, announced: int, state: str
) -> None:
    """A line of the report that says `epochs` alone is how many there are."""
    source = "import hpsearch\n"
    source += f"hpsearch.log(epochs={announced})\n" if announced else ""
    source += "for _ in range(3): hpsearch.log(loss=1)\n"
    judged = {"pruner": "threshold", "upper": 0.5, "min_epochs": 3}
    result = ended(objective(COMMAND, epochs=5, search=judged), tmp_path, source)
    assert (result.state, len(result.curve)) == (state, 3)


LINES = {
    "{'loss': 1}": "reported \"{'loss': 1}\", which is no JSON",
    '{"loss": 1': "reported '{\"loss\": 1', which is no JSON",
    '{"loss": 1, "loss": 2}': 'reported \'{"loss": 1, "loss": 2}\'; loss stands there twice',
    '{"los": 1}': "epoch 1: the training reported los; expected loss",
    '{"loss": "1"}': "epoch 1: loss is '1'; expected a number",
    '{"loss": null}': "epoch 1: loss is None; expected a number",
    '{"loss": NaN}': "epoch 1: loss is nan; expected a finite number (or set allow_nan = true)",
    '{"loss": 1e999}': "epoch 1: loss is inf; expected a finite number (or set allow_nan = true)",
    "[1]": "epoch 1: the training reported [1]; expected a name and a number for each metric",
    "\\xff\\xfe": "reported '��', which is no JSON",
    "": "the training ended and reported nothing; expected loss",
}


@pytest.mark.parametrize("line", LINES)
def test_malformed_report(tmp_path: Path, line: str) -> None:
    """It is FAIL, with a line of what was reported and what was expected; the log is kept."""
    source = "import os\nprint('said')\n"
    source += f"open(os.environ['HPSEARCH_REPORT'], 'ab').write(b'''{line}''')\n"
    result = ended(objective(COMMAND), tmp_path, source)
    assert (State.FAIL, LINES[line], b"said\n") == (result.state, result.reason, result.log)


def test_exit_code(tmp_path: Path) -> None:
    """One other than 0 is FAIL, whatever was reported; the log's last line stands in the reason."""
    source = REPORT + "print('{\"loss\": 1}', file=report)\nreport.close()\n"
    failed = ended(objective(COMMAND), tmp_path, source + "print('why'); raise SystemExit(3)")
    assert (failed.state, failed.reason) == (State.FAIL, "exit code 3: 'why'")
    killed = ended(objective(COMMAND), tmp_path, source + "os.kill(os.getpid(), 9)")
    assert (killed.state, killed.reason) == (State.FAIL, "killed by SIGKILL")


def test_outputs_are_hashed(tmp_path: Path) -> None:
    """Their names and contents make the digest; a missing one is FAIL."""
    study = objective(COMMAND, outputs=["model.bin"])
    source = REPORT + "print('{\"loss\": 1}', file=report)\n"
    write = "open(os.path.join(os.environ['HPSEARCH_FOLDER'], 'model.bin'), 'w').write(%r)\n"
    one, same, other = (
        ended(study, tmp_path, source + write % text).weights_sha256 for text in ("a", "a", "b")
    )
    assert one == same != other
    assert ended(study, tmp_path, source).reason == "its output model.bin is not in its folder"


def test_pruned_training_leaves_no_process(tmp_path: Path) -> None:
    """Nor one in the background, one that ignores SIGTERM, or one with a session of its own."""
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    source = (
        REPORT
        + f"""
import signal, subprocess, sys, time
sleeper = [sys.executable, "-c", "import time; time.sleep(1000)", {mark!r}]
subprocess.Popen(sleeper)
subprocess.Popen(sleeper, start_new_session=True)
print('{{"loss": 1}}', file=report, flush=True)
time.sleep(1000)
"""
    )
    command = [*COMMAND["command"], mark]
    training = begun(objective(COMMAND, command=command), tmp_path, source)
    iterator = iter(training)
    assert next(iterator) == (1.0,)
    assert len(processes(mark)) >= 3
    training.close()
    assert processes(mark) == []


@pytest.mark.parametrize("ends", ["by itself", "when it is stopped"])
def test_a_bomb_of_processes_is_put_out(tmp_path: Path, ends: str) -> None:
    """Processes that leave the group, and are another one at every moment, are all found."""
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    source = (
        REPORT
        + f"""
import sys, time
end = time.monotonic() + 30
for _ in range(8):
    if os.fork() == 0:
        while time.monotonic() < end:
            if os.fork():
                os._exit(0)
            os.setsid()
        os._exit(0)
print('{{"loss": 1}}', file=report, flush=True)
time.sleep({0 if ends == "by itself" else 1000})
"""
    )
    began = time.monotonic()
    training = begun(objective(COMMAND, command=[*COMMAND["command"], mark]), tmp_path, source)
    iterator = iter(training)
    assert next(iterator) == (1.0,)
    if ends == "by itself":
        assert list(iterator) == []
    training.close()
    assert processes(mark) == []
    assert time.monotonic() - began < 20


def test_what_is_reported_after_the_rung_is_nothing(tmp_path: Path) -> None:
    """The curve ends at the epoch that decided, however far the script has run meanwhile."""
    source = REPORT + (
        "for e in range(1, 10): print('{\"loss\": %d}' % e, file=report, flush=True)\n"
        "report.write('torn'); report.close(); raise SystemExit(5)\n"
    )
    training = begun(objective(COMMAND), tmp_path, source)
    iterator = iter(training)
    seen = [next(iterator) for _ in range(4)]
    training.close()
    assert seen == [(1.0,), (2.0,), (3.0,), (4.0,)]
    assert list(iterator) == []


def test_timeout_ends_what_ignores_sigterm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM first, and SIGKILL when it is not heeded."""
    source = "import signal, time\nsignal.signal(15, lambda *_: print('no', flush=True))\n"
    source += "while True: time.sleep(1)\n"
    result = ended(objective(COMMAND, timeout="2s"), tmp_path, source)
    assert (result.state, result.reason, result.log) == (State.FAIL, "timeout", b"no\n")


def test_nothing_is_left_of_a_killed_worker(tmp_path: Path) -> None:
    """When the worker is gone by SIGKILL, so are its command, what that has started, its folder."""
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    source = (
        REPORT
        + f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)", {mark!r}])
time.sleep(1000)
"""
    )
    worker = f"""
import sys
from pathlib import Path
from tests.hpsearch.training.own import COMMAND, begun, objective, rows
study = objective(COMMAND, command=[*COMMAND["command"], {mark!r}])
rows(begun(study, Path({str(tmp_path)!r}), {source!r}))
"""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", worker],
        env={**os.environ, "TMPDIR": str(scratch)},
        start_new_session=True,
    )
    try:
        # The worker, which bears the mark in its program's text alone, is not among them.
        assert eventually(lambda: len(processes(mark)) == 2)
        assert list(scratch.glob("hpsearch-3-*"))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert eventually(lambda: not processes(mark))
    assert eventually(lambda: not list(scratch.glob("hpsearch-3-*")))


def test_long_log_keeps_its_end(tmp_path: Path) -> None:
    """The last megabyte is kept."""
    source = REPORT + (
        "for i in range(30000): print('x' * 99)\nprint('the end')\n"
        "print('{\"loss\": 1}', file=report)\n"
    )
    result = ended(objective(COMMAND), tmp_path, source)
    assert (len(result.log), result.log[-8:]) == (2**20, b"the end\n")


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-script.sh"])
def test_command_that_is_not_found(tmp_path: Path, program: str) -> None:
    """It is bad input, said before anything runs."""
    study = objective(COMMAND, command=[program])
    with pytest.raises(UsageError, match=rf"^objective.command: {program}: no such program"):
        trainer(study, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("{params.lr}", "unknown placeholder {params.lr}; use one of {config}, {config.json}, "),
        ("{Seed}", "unknown placeholder {Seed}"),
        ("{}", "unknown placeholder {}"),
        ("{seed", "single brace; to get one, write {{"),
        ("}", "single brace; to get one, write }}"),
        ("a\0b", "contains a NUL"),
    ],
)
def test_placeholder_that_does_not_exist(argument: str, said: str) -> None:
    """It is named, with those that there are."""
    with pytest.raises(StudyFileError) as caught:
        objective(COMMAND, {"other": 1}, command=["echo", argument])
    assert str(caught.value).startswith(f"objective.command[1]: {said}")
