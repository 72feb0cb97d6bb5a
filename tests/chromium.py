"""A real browser, without a window: what it shows of a page, and what it complains of."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import zlib
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)


@dataclass
class Chromium:
    """Opens files, each time as a new browser with a profile of its own in `folder`."""

    folder: Path
    runs: int = 0

    def measure(self, page: str, script: str, *options: str, width: int = 1200) -> Any:
        """What `script`, the body of a function, returns in a page: a test's own, past its policy."""
        policed = re.sub(r"<meta http-equiv=[^>]*>", "", page)
        asked = (
            "<pre id='measured'></pre><script>"
            "document.getElementById('measured').textContent ="
            f" JSON.stringify((() => {{{script}}})())</script>"
        )
        out = self._run(policed + asked, "--dump-dom", *options, width=width).stdout
        (found,) = re.findall(r'<pre id="measured">(.*?)</pre>', out, re.DOTALL)
        return json.loads(unescape(found))

    def picture(self, page: str, *options: str, width: int = 1200, height: int = 900) -> bytes:
        """A picture of the page as it is, as PNG; fails where the browser's console has a word."""
        path = self.folder / f"picture-{self.runs}.png"
        run = self._run(page, f"--screenshot={path}", *options, width=width, height=height)
        complaints = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
        assert not complaints, complaints
        return path.read_bytes()

    def _run(
        self, page: str, *options: str, width: int, height: int = 900
    ) -> subprocess.CompletedProcess[str]:
        self.runs += 1
        file = self.folder / f"page-{self.runs}.html"
        file.write_text(page, encoding="utf-8")
        own = (f"--user-data-dir={self.folder / f'profile-{self.runs}'}",)
        command = [CHROMIUM, *OPTIONS, *own, f"--window-size={width},{height}", *options]
        return subprocess.run(
            [*command, file.as_uri()],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=100,
            check=True,
        )


def colours(png: bytes) -> dict[tuple[int, int, int], int]:
    """How many pixels a picture has of each colour."""
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        chunks[kind] = chunks.get(kind, b"") + body
        at += size + 12
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour) in {(8, 2), (8, 6)}
    step = 3 if colour == 2 else 4
    raw, above = zlib.decompress(chunks[b"IDAT"]), bytearray(width * step)
    found: dict[tuple[int, int, int], int] = {}
    for row in range(height):
        start = row * (width * step + 1)
        above = _unfiltered(
            raw[start], bytearray(raw[start + 1 : start + 1 + width * step]), above, step
        )
        for pixel in zip(above[::step], above[1::step], above[2::step], strict=True):
            found[pixel] = found.get(pixel, 0) + 1
    return found


def _unfiltered(kind: int, line: bytearray, above: bytearray, step: int) -> bytearray:
    """Undo the filter of one line, as PNG's specification defines the five of them (9.2)."""
    for at in range(len(line)) if kind else ():
        left = line[at - step] if at >= step else 0
        up, corner = above[at], above[at - step] if at >= step else 0
        near = min((left, up, corner), key=lambda each: abs(left + up - corner - each))
        line[at] = (line[at] + (0, left, up, (left + up) // 2, near)[kind]) & 0xFF
    return line
