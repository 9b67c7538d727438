"""A review that is served from a thread, requests to it, and a browser on it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gentool.review.review import Review
from gentool.review.server import ReviewServer
from tests.report.browser import Browser

KEYS = {
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "ArrowRight": (39, ""),
    "ArrowLeft": (37, ""),
    "Tab": (9, ""),
}


@contextmanager
def serving(review: Review) -> Iterator[ReviewServer]:
    server = ReviewServer(review)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def request(
    server: ReviewServer,
    path: str = "",
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] = {},
    token: str | None = None,
) -> tuple[int, Any, Mapping[str, str]]:
    """Status, content (JSON is read) and headers of an answer. Headers that are empty are not sent."""
    own = {"Host": f"127.0.0.1:{server.server_port}"}
    if method == "POST":
        own |= {"Origin": f"http://127.0.0.1:{server.server_port}", "Content-Type": "application/json"}
        own["Content-Length"] = str(len(body or b""))
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.putrequest(method, f"/{server.token if token is None else token}/{path}", True, True)
    for name, value in {**own, **headers}.items():
        if value:
            connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    content: Any = response.read()
    if content and response.headers["Content-Type"] == "application/json":
        content = json.loads(content)
    connection.close()
    return response.status, content, response.headers


def decide(server: ReviewServer, item: str, decision: str, **more: Any) -> tuple[int, Any]:
    body = json.dumps({"item": item, "decision": decision, **more}).encode()
    status, content, _ = request(server, "api/decisions", "POST", body)
    return status, content


class Tab(Browser):
    """A browser on the review page."""

    def visit(self, url: str) -> None:
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=url)
        self.settle()

    def settle(self) -> None:
        self._wait("document.documentElement?.dataset.ready === 'true'", "the page is not ready")

    def wait(self, condition: str) -> None:
        self._wait(condition, f"never true: {condition}")

    def key(self, key: str, modifiers: int = 0) -> None:
        """Press a key and wait until what it did is done. ``modifiers``: 2 is Ctrl."""
        code, text = KEYS.get(key, (0, key))
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                text=text if kind == "keyDown" and not modifiers else "",
                windowsVirtualKeyCode=code,
                modifiers=modifiers,
            )
        self.settle()

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def text(self, selector: str) -> str:
        return " ".join(self.texts(selector))


def tab(folder: Path) -> Tab:
    return Tab(folder)
