"""What a person finds who opens the UI with no other help: in Debian's Chromium, by Playwright."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from hpsearch.ledger.database import Database
from hpsearch.ledger.store import Store
from hpsearch.settings import Settings, sqlite
from hpsearch.study import file as study_file
from tests.conftest import study

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.soak,  # a browser, MLflow's server and a report take half a minute
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
PATIENCE = 120_000.0
"""Milliseconds that a page may take; as a rule it takes one or two thousand."""


class Browser:
    """A browser, the UI's addresses as it prints them, and what it is to show."""

    def __init__(self, context: playwright.BrowserContext, lines: list[str], store: Store) -> None:
        self._context = context
        self.root = lines[0].split()[2]
        self.runs = lines[1].partition(": ")[2]
        record = store.study("small")
        best = store.best(record)
        assert best is not None
        self.parent, self.best = record.mlflow_run_id, best
        values = {t.number: t.value or 0.0 for t in store.trials(record.id)}
        self.ranked = sorted(values, key=lambda number: -values[number])
        self.values = values

    def open(self, address: str) -> playwright.Page:
        """A page of its own; it asks nobody but the UI."""
        page = self._context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        return page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A study of 24 trials with its report in MLflow, and a browser."""
    folder = tmp_path_factory.mktemp("browser")
    home = folder / "home"
    environment = {**os.environ, "HPSEARCH_HOME": str(home)}
    for name in ("HPSEARCH_STORAGE", "MLFLOW_TRACKING_URI"):
        environment.pop(name, None)
    (folder / "small.toml").write_text(study_file.toml(study(search__trials=24)))
    program = [sys.executable, "-m", "hpsearch"]
    run = [*program, "run", "small.toml", "--workers", "1", "--quiet"]
    for command in (run, [*program, "report", "small"]):
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    ui = subprocess.Popen(
        [*program, "ui"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert ui.stdout is not None
    lines = [ui.stdout.readline().strip() for _ in range(3)]
    settings = Settings(home, sqlite(home / "studies.db"), sqlite(home / "mlflow.db"))
    database = Database(settings.storage, create=False)
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        context = chromium.new_context(viewport={"width": 1500, "height": 900})
        yield Browser(context, lines, Store(database))
        chromium.close()
    database.engine.dispose()
    ui.terminate()
    ui.communicate(timeout=60)


def names(page: playwright.Page) -> list[str]:
    """The names of the trials in the table, from the top, once it is as the study says."""
    page.get_by_role("columnheader", name="val_accuracy").first.wait_for()
    trials = page.get_by_role("link", name=re.compile(r"trial \d\d"))
    trials.first.wait_for()
    found: list[str] = trials.all_inner_texts()
    return found


def test_the_printed_address_leads_to_the_best_trial(browser: Browser) -> None:
    """The runs are sorted by the metric, which is a column, as are the values searched."""
    page = browser.open(browser.runs)
    shown = [int(name.removeprefix("trial ")) for name in names(page)]
    assert len(shown) >= 10
    wanted = [browser.values[number] for number in browser.ranked[: len(shown)]]
    assert [browser.values[number] for number in shown] == wanted
    for column in ("value", "training.lr", "network.dropout"):
        assert page.get_by_role("columnheader", name=column).count()


def test_the_curves_of_the_best_trial(browser: Browser) -> None:
    """One click from the table, and one to its metrics: each of them is a chart."""
    page = browser.open(browser.runs)
    best = names(page)[0]
    page.get_by_role("link", name=best).first.click()
    page.get_by_text("Model metrics").first.click()
    page.locator(".js-plotly-plot .trace").first.wait_for()
    for metric in ("train_loss", "val_accuracy"):
        assert page.get_by_text(metric, exact=True).first.is_visible()


def test_comparing_all_trials(browser: Browser) -> None:
    """More than twenty are compared at once."""
    page = browser.open(browser.runs)
    names(page)
    page.locator("input[type=checkbox]").first.check()
    page.get_by_role("button", name="Compare").click()
    heading = page.get_by_role("heading", name=re.compile("Comparing 2[45] Runs"))
    heading.wait_for()


def test_the_report_is_an_artifact_that_displays(browser: Browser) -> None:
    """It stands with the study's own run, and is shown there whole, its figures as well."""
    root = f"{browser.root}#/experiments/1/runs/{browser.parent}/artifacts/"
    page = browser.open(root + quote("report/small.html"))
    report = page.frame_locator("iframe")
    report.get_by_role("heading", name="small", exact=True).wait_for()
    assert report.locator("svg, img").count() > 0


def test_the_study_says_what_came_out(browser: Browser) -> None:
    """The description of its own run names the best trial, and links to it."""
    page = browser.open(f"{browser.root}#/experiments/1/runs/{browser.parent}")
    link = page.get_by_role("link", name=f"trial {browser.best.number}", exact=True).first
    link.wait_for()
    assert link.get_attribute("href").endswith(f"/runs/{browser.best.mlflow_run_id}")
