"""The documentation is a site: it is built without network, and read without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_site_is_built(tmp_path: Path) -> None:
    """Strictly: each link, anchor and picture leads somewhere, and no page needs another host."""
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        needed = re.findall(
            r"<(?:script|img|link)\b[^>]*(?:src|href)=[\"']?http[^>]*", page.read_text()
        )
        assert needed == [], page.name
    assert not list(tmp_path.rglob("*.py"))
