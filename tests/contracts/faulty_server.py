"""A proxy before an S3 server that fails in the ways networks and servers do."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

FAULTS = ("busy", "reset", "cut", "lost", "flip", "hang")
_BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>slow down</Message></Error>"
_OLD = b"<?xml version='1.0'?><Error><Code>InvalidRequest</Code><Message>Missing Content-MD5</Message></Error>"
_HANG_S = 1.5


class FaultyServer:
    """Forwards requests to `url`, and gives a share of them one of `faults`.

    `no-bulk` stands for old servers that refuse to delete many objects at once.
    """

    def __init__(self, url: str, share: float, faults: tuple[str, ...] = FAULTS) -> None:
        self.share, self.faults = share, faults
        self.given: Counter[str] = Counter()
        self._target = urlsplit(url).netloc
        self._random = random.Random(20)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def choose(self) -> str:
        with self._lock:
            fault = self._random.choice(self.faults) if self._random.random() < self.share else ""
            self.given[fault] += 1
        return fault

    def forward(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        link = http.client.HTTPConnection(self._target, timeout=30)
        try:
            link.request(method, path, body, {k: v for k, v in headers.items() if k.lower() != "transfer-encoding"})
            answer = link.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            link.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = outer.choose()
                if fault == "hang":
                    time.sleep(_HANG_S)
                if fault in ("reset", "hang"):
                    self.close_connection = True
                    return
                if fault == "busy":
                    self._answer(503, [("Content-Type", "application/xml")], _BUSY, _BUSY)
                    return
                if fault == "no-bulk" and self.command == "POST" and "delete" in self.path:
                    self._answer(400, [("Content-Type", "application/xml")], _OLD, _OLD)
                    return
                status, headers, data = outer.forward(self.command, self.path, self.headers, body)
                if fault == "lost":
                    self.close_connection = True
                    return
                sent = data
                if fault == "flip" and data and self.command == "GET" and "list-type" not in self.path:
                    sent = bytes([data[0] ^ 1]) + data[1:]
                if fault == "cut" and len(data) > 1:
                    sent = data[: len(data) // 2]
                    self.close_connection = True
                self._answer(status, headers, data, sent)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes, sent: bytes) -> None:
                self.send_response(status)
                names = {name.lower() for name, _ in headers}
                for name, value in headers:
                    if name.lower() not in {"connection", "transfer-encoding", "date", "server"}:
                        self.send_header(name, value)
                if "content-length" not in names:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(sent)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
