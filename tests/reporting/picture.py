"""Take the picture in the documentation anew: `python -m tests.reporting.picture`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.chromium import Chromium

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "assets" / "report.png"

if __name__ == "__main__":
    sys.path.append(str(ROOT / "examples"))
    import report_page

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        report_page.show(page)
        chromium = Chromium(Path(folder))
        PICTURE.write_bytes(chromium.picture(page.read_text("utf-8"), width=1080, height=1010))
