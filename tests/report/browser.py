"""Headless Chromium, spoken to over a pipe in the DevTools protocol: real widths, real themes, no server and no port.

https://chromedevtools.github.io/devtools-protocol/: with `--remote-debugging-pipe` it reads JSON from descriptor 3 and writes
to 4, each message ended by NUL. (`--window-size` does not do for a phone: a window is 500 px wide at least.)
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = "chromium"
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars")


class Page:
    """One tab: what it is told, and all that it has said."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = os.fdopen(read, "rb"), os.fdopen(write, "wb")
        self._left, self._number, self.session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask, and wait for the answer; events on the way are kept."""
        self._number += 1
        about = {"sessionId": self.session} if self.session else {}
        self._write.write(json.dumps({"id": self._number, "method": method, "params": parameters} | about).encode() + b"\0")
        self._write.flush()
        while True:
            said = self._next()
            if said.get("id") == self._number:
                assert "error" not in said, f"{method}: {said['error']}"
                return dict(said["result"])

    def open(self, address: str, width: int = 1280, height: int = 900, theme: str = "light", media: str = "screen") -> None:
        """Load a page as a screen of that width and theme shows it; returns when it is loaded."""
        self.events.clear()
        mobile = width < 600
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.send("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": theme}])
        self.send("Page.navigate", url=address)
        while not any(each["method"] == "Page.loadEventFired" for each in self.events):
            self._next()

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, file: Path, whole: bool = True) -> Path:
        """A PNG of the page, below the edge of the screen as well."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))
        return file

    def said(self, method: str) -> list[dict[str, Any]]:
        """Parameters of the events of one kind since the page was opened."""
        return [each["params"] for each in self.events if each["method"] == method]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            some = os.read(self._read.fileno(), 1 << 16)
            assert some, "Chromium has ended"
            self._left += some
        message, self._left = self._left.split(b"\0", 1)
        said = json.loads(message)
        if "method" in said:
            self.events.append(said)
        return dict(said)


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A browser with a profile of its own in `folder`."""
    (told, tell), (hear, say) = os.pipe(), os.pipe()
    command = ["bash", "-c", f'exec {CHROMIUM} "$@" 3<&{told} 4>&{say}', "chromium"]
    options = [*OPTIONS, f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"]
    process = subprocess.Popen(command + options, pass_fds=(told, say), stderr=subprocess.DEVNULL)
    os.close(told)
    os.close(say)
    page = None
    try:
        page = Page(hear, tell)
        yield page
    finally:
        process.terminate()
        process.wait(30)
