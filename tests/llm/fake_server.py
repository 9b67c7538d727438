"""A real HTTP server on this machine that plays an OpenAI-compatible one, well behaved or not."""

from __future__ import annotations

import contextlib
import hashlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gentool.records import GENERATE_RESPONSE
from tests.llm.limits import Limits


@dataclass(frozen=True)
class Answer:
    """An HTTP answer after ``delay`` seconds; ``body`` is sent as JSON unless it is bytes.

    ``cut``: the connection ends after so many bytes of it.
    """

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None


PATH = "/v1/chat/completions"
DROP = "close the connection without an answer"
HANG = "no answer while the test lasts"


def completion(
    content: Any = None,
    *calls: tuple[Any, Any],
    finish: str | None = "stop",
    delay: float = 0.0,
    **message: Any,
) -> Answer:
    """A chat completion with a text and calls (name, arguments as the server writes them)."""
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(calls)
        ]
    return Answer(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1790000000,
            "model": "served-model-1",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": finish,
                    "message": {"role": "assistant", "content": content, **message},
                }
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107},
        },
        delay=delay,
    )


def error(status: int, message: str = "no", **fields: Any) -> Answer:
    """An error in OpenAI's form."""
    return Answer({"error": {"message": message, **fields}}, status)


def tokens(body: dict[str, Any]) -> float:
    """What a limit on tokens counts for a request: its messages, roughly, and as much as it may answer."""
    return len(json.dumps(body["messages"])) / 4 + (body.get("max_tokens") or 100)


def body_hash(body: dict[str, Any]) -> str:
    """A name for a request's body."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def obedient(body: dict[str, Any], number: int) -> Answer:
    """Ranks nothing but ``generate_response``, and calls the first tool shown without arguments."""
    if "Rank the tools" in body["messages"][-1]["content"]:
        return completion(GENERATE_RESPONSE)
    return completion(None, (body["tools"][0]["function"]["name"], "{}"), finish="tool_calls")


Play = Callable[[dict[str, Any], int], Any]
"""(body, number of the request, from 1) -> an :class:`Answer`, the text of one, ``DROP`` or ``HANG``."""


class FakeServer:
    """Answers what ``play`` says, unless ``limits`` refuse the request.

    A thread serves each connection, so that ``play`` may wait, and has to be safe for threads.
    """

    def __init__(self, play: Play | None = None, limits: Limits | None = None) -> None:
        self.play: Play = play or obedient
        self.limits = limits
        self.refused = 0
        """Requests that ``limits`` refused."""
        self.delivered: dict[str, list[float]] = {}
        """Hash of a body -> when (``time.monotonic``) a completion had been sent whole, to a client that was there."""
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.now = self.most = 0
        """Requests under way now, and the most there ever were."""
        self.closing = threading.Event()
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                raw = self.rfile.read(size)
                if len(raw) < size:  # the client is gone
                    self.close_connection = True
                    return
                body = json.loads(raw)
                with fake._lock:
                    fake.bodies.append(body)
                    fake.headers.append({k.lower(): v for k, v in self.headers.items()})
                    number = len(fake.bodies)
                    refusal = fake._refusal(body)
                    if refusal is None:
                        fake.now += 1
                        fake.most = max(fake.most, fake.now)
                if refusal is not None:
                    self.send(Answer({"error": {"message": "too many requests"}}, 429, refusal))
                    return
                try:
                    answer = fake.play(body, number) if self.path == PATH else error(404, self.path)
                    if isinstance(answer, str) and answer not in (DROP, HANG):
                        answer = completion(answer)
                    if isinstance(answer, Answer):
                        time.sleep(answer.delay)
                finally:
                    with fake._lock:
                        fake.now -= 1
                self.send(answer)
                if (
                    isinstance(answer, Answer)
                    and answer.status == 200
                    and answer.cut is None
                    and self.there()
                ):
                    with fake._lock:
                        fake.delivered.setdefault(body_hash(body), []).append(time.monotonic())

            def there(self) -> bool:
                """Whether the client still has its end open."""
                readable, _, _ = select.select([self.connection], [], [], 0)
                try:
                    return not readable or bool(self.connection.recv(1, socket.MSG_PEEK))
                except OSError:
                    return False

            def send(self, answer: Any) -> None:
                if answer == HANG:
                    fake.closing.wait(60)
                if answer in (HANG, DROP):
                    self.close_connection = True
                    return
                raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(raw)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw[: answer.cut])
                self.wfile.flush()
                if answer.cut is not None:
                    self.close_connection = True

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # the client is gone
                    super().handle()

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _refusal(self, body: dict[str, Any]) -> dict[str, str] | None:
        if self.limits is None:
            return None
        refusal = self.limits.refusal(self.now, tokens(body), time.monotonic())
        self.refused += refusal is not None
        return refusal

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
