"""A stand-in for a language model's server: OpenAI's API as a function of requests, and over real HTTP."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "gpt-4o-2024-08-06"  # the exact id that answers to the alias


def asked_classes(request):
    """The class names that a request asks about."""
    question = request["messages"][1]["content"].splitlines()[0]
    return json.loads(question.removeprefix("Classes: "))


def related(name, count=5):
    return [f"{name} {kind}" for kind in ("frame", "handle", "cover", "stand", "panel", "corner", "edge")[:count]]


def answer(request, change=lambda name, names: names):
    """A completion with five related names a class, changed by ``change``."""
    classes = [{"name": name, "related": change(name, related(name))} for name in asked_classes(request)]
    return completion(json.dumps({"classes": classes}))


def completion(content, finish="stop"):
    message = {"role": "assistant", "content": content}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
    }


@contextmanager
def serve(respond):
    """Yields the address of a server whose ``respond(headers, request) -> (status, body)`` answers every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = respond(self.headers, request)
            data = json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client was killed or gave up

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
