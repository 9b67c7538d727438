"""The review page's server: on 127.0.0.1 only, and every request must know the token.

A page of another site that is open in the same browser can send requests here. It does not know the token; and should
it ever, ``Host`` must be this server's (a name that was bound anew to 127.0.0.1 is not), and what comes from a
page must come from this server's own (``Origin``). Nothing but the files in ``FILES`` is served.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socketserver
import traceback
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from gentool.jsonl import GenToolError, RecordError, parse_record, printable, strict_json
from gentool.lock import LockedError
from gentool.records import Record
from gentool.review.queue import Decided, Show
from gentool.review.review import Order, Refused, Review, Unknown

Q = TypeVar("Q", bound=Record)

_SCRIPTS = ("page", "api", "tools", "item", "list", "dialogs", "edit", "review")
FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "review.css": ("review.css", "text/css; charset=utf-8"),
    **{f"{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in _SCRIPTS},
}
"""Path below the token -> file of the package and its type."""

LARGEST_BODY = 1_000_000
"""Bytes of a request: an edited item has a few thousand."""
PATIENCE = 30.0
"""Seconds that a client may take to send its request."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class ListQuery(Record):
    """Parameters of the list."""

    show: Show = "queue"
    decided: Decided = "any"
    q: str = ""
    start: int = 0
    number: int = 50
    around: str = ""


class StepQuery(Record):
    """Parameters of a step in the list."""

    show: Show = "queue"
    decided: Decided = "any"
    q: str = ""
    item: str = ""
    by: Literal["next", "back", "open"] = "next"


@dataclass(frozen=True)
class _Reply:
    status: HTTPStatus
    kind: str
    body: bytes
    location: str = ""


class _Fault(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def _json(value: Any, status: HTTPStatus = HTTPStatus.OK) -> _Reply:
    # ASCII: half a character (a lone surrogate) in a text is no UTF-8.
    return _Reply(status, "application/json", json.dumps(value).encode())


class ReviewServer(ThreadingHTTPServer):
    """Serves one review on 127.0.0.1; ``port`` 0 takes a free one. Raises ``OSError`` where the port is taken."""

    daemon_threads = True
    block_on_close = False  # browsers keep their connections open

    def __init__(self, review: Review, port: int = 0) -> None:
        self.review = review
        self.token = secrets.token_urlsafe(24)
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """As the standard library's, without asking for the machine's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]
        self.hosts = {f"{name}:{self.server_port}" for name in (self.server_name, "localhost")}

    @property
    def url(self) -> str:
        return f"http://{self.server_name}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or took too long, is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "gentool", ""
    timeout = PATIENCE
    disable_nagle_algorithm = True  # else a body waits 40 ms until the head before it is acknowledged

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: addresses hold the token."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses, such as other methods, as JSON too."""
        self.close_connection = True
        self._send(_json({"error": message or HTTPStatus(code).phrase}, HTTPStatus(code)))

    def do_GET(self) -> None:
        self._send(self._answer())

    def do_POST(self) -> None:
        self._send(self._answer())

    def _send(self, reply: _Reply) -> None:
        self.send_response(reply.status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(reply.body)))
        if reply.location:
            self.send_header("Location", reply.location)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)

    def _answer(self) -> _Reply:
        """The answer to a request, whatever it is."""
        try:
            path, parameters = self._admitted()
            if self.command == "POST":
                return self._post(path)
            return self._get(path, parameters)
        except _Fault as fault:
            # The body may not have been read: what follows on the connection would be taken for a request.
            self.close_connection = self.close_connection or self.command == "POST"
            return _json({"error": str(fault)}, fault.status)
        except Unknown as error:
            return _json({"error": str(error)}, HTTPStatus.NOT_FOUND)
        except Refused as error:
            problems = [p.json() for p in error.problems]
            return _json({"error": str(error), "problems": problems}, HTTPStatus.UNPROCESSABLE_ENTITY)
        except LockedError as error:
            return _json({"error": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE)
        except GenToolError as error:  # a file that was damaged since
            return _json({"error": str(error)}, HTTPStatus.INTERNAL_SERVER_ERROR)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            message = (
                f"{where}{error.strerror or error}. Fix: check the folder's permissions and the space left."
            )
            return _json({"error": message}, HTTPStatus.INSUFFICIENT_STORAGE)
        except Exception:  # a fault of GenTool: the page says so, the terminal says where
            traceback.print_exc()
            message = "An error in GenTool; the terminal shows where. What was decided before is kept."
            return _json({"error": message}, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _admitted(self) -> tuple[str, str]:
        """Path below the token, and parameters, of a request that may come in. Raises :class:`_Fault`."""
        if self.headers.get("Host", "") not in self.server.hosts:
            raise _Fault(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"Host: expected 127.0.0.1:{self.server.server_port}. Fix: open the address that was printed; behind a "
                "tunnel, use the same port on both sides (--port).",
            )
        parts = urlsplit(self.path)
        token, slash, path = parts.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            raise _Fault(
                HTTPStatus.FORBIDDEN, "No or wrong token. Fix: open the whole address that was printed."
            )
        origin, site = self.headers.get("Origin"), self.headers.get("Sec-Fetch-Site", "none")
        own = {f"http://{host}" for host in self.server.hosts}
        if origin not in own and (origin is not None or self.command == "POST"):
            raise _Fault(HTTPStatus.FORBIDDEN, "Origin: expected this server's own page.")
        path = path if slash else "/"
        # A link to the page, in a terminal that is a web page itself, may be followed.
        if site not in ("same-origin", "none") and path not in ("", "/"):
            raise _Fault(HTTPStatus.FORBIDDEN, "Sec-Fetch-Site: expected this server's own page.")
        return path, parts.query

    def _get(self, path: str, parameters: str) -> _Reply:
        review = self.server.review
        if path in FILES:
            name, kind = FILES[path]
            return _Reply(HTTPStatus.OK, kind, (files("gentool.review") / "page" / name).read_bytes())
        match [unquote(part) for part in path.split("/")]:
            case ["", ""]:
                return _Reply(HTTPStatus.PERMANENT_REDIRECT, "text/plain", b"", f"/{self.server.token}/")
            case ["api", "run"]:
                return _json(review.run())
            case ["api", "items"]:
                return _json(review.window(**_query(ListQuery, parameters).model_dump()))
            case ["api", "step"]:
                return _json({"item": review.step(**_query(StepQuery, parameters).model_dump())})
            case ["api", "items", item]:
                return _json(review.item(item))
            case ["api", "items", item, "calls", call]:
                return _json(review.exchange(item, call))
        raise _Fault(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def _post(self, path: str) -> _Reply:
        if path != "api/decisions":
            raise _Fault(HTTPStatus.NOT_FOUND, "There is nothing here.")
        body = self._body()
        try:
            value = strict_json(body.decode())
        except (ValueError, RecursionError) as error:
            raise _Fault(HTTPStatus.BAD_REQUEST, f"body: expected JSON; found {str(error)[:120]}") from None
        try:
            order = parse_record(Order, value, "body")
        except RecordError as error:
            raise _Fault(HTTPStatus.BAD_REQUEST, str(error)) from None
        return _json(self.server.review.decide(order))

    def _body(self) -> bytes:
        """The body of a request. Raises :class:`_Fault` for one of another kind, of unknown or of too large a size."""
        if self.headers.get_content_type() != "application/json":
            raise _Fault(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type: expected application/json.")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            raise _Fault(HTTPStatus.LENGTH_REQUIRED, "Content-Length: expected the number of bytes.")
        if len(length) > 12 or int(length) > LARGEST_BODY:
            raise _Fault(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"body: expected at most {LARGEST_BODY:,} bytes; found {length[:20]}.",
            )
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise _Fault(HTTPStatus.BAD_REQUEST, "body: cut short.")
        return body


def _query(kind: type[Q], text: str) -> Q:
    """The parameters of an address as a record. Raises :class:`_Fault`."""
    try:
        return parse_record(kind, dict(parse_qsl(text, keep_blank_values=True, max_num_fields=20)), "address")
    except ValueError as error:
        raise _Fault(HTTPStatus.BAD_REQUEST, printable(str(error))) from None
