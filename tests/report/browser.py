"""A headless Chromium, spoken to over a pipe with its DevTools protocol: nothing to install but the browser."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

CHROMIUM = next((c for c in ("chromium", "chromium-browser", "google-chrome") if shutil.which(c)), None)
TIMEOUT = 60.0
"""Seconds that a page may take to be ready, or a file to arrive."""


class Browser:
    """One tab. ``console`` holds what the pages said there: errors, and refusals of the security policy."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        self.console: list[str] = []
        self._number = 0
        self._rest = b""
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The browser wants the pipe as descriptors 3 and 4: these copies are out of their way.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]

        def place() -> None:
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self._process = subprocess.Popen(
            [
                CHROMIUM,
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
                *("--remote-debugging-pipe", "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}"),
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),
            preexec_fn=place,
        )
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._out)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._in, 1 << 16)
            if not more:
                raise RuntimeError("the browser has ended")
            self._rest += more
        line, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def send(self, method: str, **parameters: Any) -> Any:
        """The result of a command of the protocol."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        # Of the browser as a whole, not of the tab.
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            found = self._message()
            if found.get("id") == self._number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                return found["result"]
            if found.get("method") in (
                "Runtime.exceptionThrown",
                "Runtime.consoleAPICalled",
                "Log.entryAdded",
            ):
                self.console.append(json.dumps(found["params"]))

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited."""
        found = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a page afresh and wait until its script is through."""
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=path.as_uri() + fragment)
        self._wait("document.documentElement?.dataset.ready === 'true'", "the page is not ready")

    def _wait(self, condition: str, failure: str) -> None:
        end = time.monotonic() + TIMEOUT
        while not self.run(condition):
            if time.monotonic() > end:
                raise RuntimeError(failure)
            time.sleep(0.02)

    def choose(self, name: str, value: str) -> None:
        """Set a field of the filters, as a user would."""
        field = f"document.getElementById('filters').elements[{json.dumps(name)}]"
        self.run(
            f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event('input', {{bubbles: true}}))"
        )

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")

    def texts(self, selector: str) -> list[str]:
        """The text of every node that fits a selector."""
        found: list[str] = self.run(
            f"[...document.querySelectorAll({json.dumps(selector)})].map((n) => n.textContent)"
        )
        return found

    def download(self, selector: str) -> Path:
        """Click, and the file that arrives."""
        for old in self.downloads.iterdir():
            old.unlink()
        self.run(f"document.querySelector({json.dumps(selector)}).click()")
        end = time.monotonic() + TIMEOUT
        while not (found := [p for p in self.downloads.iterdir() if p.suffix != ".crdownload"]):
            if time.monotonic() > end:
                raise RuntimeError("nothing was downloaded")
            time.sleep(0.02)
        return found[0]

    def picture(self, path: Path, width: int, height: int, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
