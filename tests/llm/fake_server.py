"""A real HTTP server on this machine that plays an OpenAI-compatible one, well behaved or not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gentool.records import GENERATE_RESPONSE


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; ``body`` is sent as JSON unless it is bytes."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


DROP = "close the connection without an answer"
HANG = "no answer while the test lasts"


def completion(
    content: Any = None,
    *calls: tuple[Any, Any],
    finish: str | None = "stop",
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
        }
    )


def obedient(body: dict[str, Any], number: int) -> Answer:
    """Ranks nothing but ``generate_response``, and calls the first tool shown without arguments."""
    if "Rank the tools" in body["messages"][-1]["content"]:
        return completion(GENERATE_RESPONSE)
    return completion(None, (body["tools"][0]["function"]["name"], "{}"), finish="tool_calls")


Play = Callable[[dict[str, Any], int], Any]


class FakeServer:
    """``play(body, number of the request, from 1)`` says what is answered."""

    def __init__(self) -> None:
        self.play: Play = obedient
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.now = self.most = 0
        """Requests under way now, and the most there ever were."""
        self.closing = threading.Event()
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with fake._lock:
                    fake.bodies.append(body)
                    fake.headers.append({k.lower(): v for k, v in self.headers.items()})
                    number = len(fake.bodies)
                    fake.now += 1
                    fake.most = max(fake.most, fake.now)
                try:
                    if self.path != "/v1/chat/completions":
                        self.send(Answer({"error": {"message": f"no such path {self.path}"}}, 404))
                    else:
                        self.send(fake.play(body, number))
                finally:
                    with fake._lock:
                        fake.now -= 1

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
                self.wfile.write(raw)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
