"""A server on this machine that speaks as much of the Hugging Face hub's API as an up- and a download need."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_secretsecretsecretsecretsecret"


@dataclass
class Repo:
    """A repository: its commits are whole trees; ``lfs`` says that weights go the way of large files."""

    private: bool
    lfs: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    uploaded: list[tuple[str, str]] = field(default_factory=list)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        tree = {**self.commits.get(self.branches.get(branch, ""), {}), **files}
        sha = hashlib.sha1(repr((len(self.commits), sorted(tree))).encode()).hexdigest()
        self.commits[sha] = tree
        self.branches[branch] = sha
        return sha

    def at(self, revision: str) -> str | None:
        found = self.branches.get(revision, revision)
        return found if found in self.commits else None


@dataclass
class Hub:
    """What the server knows."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serve_hub() -> Iterator[Hub]:
    """Runs the server; weights in repositories whose name ends in ``lfs`` are large files."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            self.answer()

        do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 (the names of http.server)

        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else self.chunks()
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            status, headers, content = self.route(path, body)
            payload = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(payload)

        def chunks(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return b""
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        @property
        def known(self) -> bool:
            return self.headers.get("Authorization") == f"Bearer {TOKEN}"

        def route(self, path, body):
            if path == "/api/repos/create":
                return self.create(json.loads(body))
            if path == "/api/validate-yaml":
                return 200, {}, {"errors": [], "warnings": []}
            if found := re.fullmatch(r"/objects/(\w+)", path):
                hub.objects[found[1]] = body
                return 200, {}, b""
            if found := re.fullmatch(r"/(\w+/\w+)\.git/info/lfs/objects/batch", path):
                return self.batch(json.loads(body))
            if found := re.fullmatch(r"/api/models/(\w+/\w+)(?:/(\w+)(?:/([^/]+))?)?(?:/.*)?", path):
                repo = self.repo(found[1])
                return missing() if repo is None else self.api(found[1], repo, found[2], found[3] or "main", body)
            if found := re.fullmatch(r"/(\w+/\w+)/resolve/([^/]+)/(.+)", path):
                repo = self.repo(found[1])
                return missing() if repo is None else self.resolve(repo, found[2], found[3])
            return 404, {}, {"error": f"no such path {path}"}

        def repo(self, name):
            repo = hub.repos.get(name)
            return None if repo is None or (repo.private and not self.known) else repo

        def create(self, asked):
            if not self.known:
                return 401, {}, {"error": "Invalid username or password."}
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if name in hub.repos:
                return 409, {}, {"error": "You already created this model repo", "url": f"{hub.url}/{name}"}
            private = bool(asked.get("private")) or asked.get("visibility") == "private"
            hub.repos[name] = Repo(private, name.endswith("lfs"))
            hub.repos[name].commit("main", {".gitattributes": b""})
            return 200, {}, {"url": f"{hub.url}/{name}", "name": name, "id": name}

        def batch(self, asked):
            sent = [
                {**one, "actions": {"upload": {"href": f"{hub.url}/objects/{one['oid']}", "header": {}}}}
                for one in asked["objects"]
            ]
            return 200, {}, {"transfer": "basic", "objects": sent}

        def api(self, name, repo, what, revision, body):
            if what == "preupload":
                files = [{**one, "uploadMode": mode(repo, one["path"]), "shouldIgnore": False} for one in
                         json.loads(body)["files"]]  # fmt: skip
                return 200, {}, {"files": files}
            if what == "branch":
                repo.branches.setdefault(revision, repo.branches["main"])
                return 200, {}, {}
            if what == "commit":
                files = {}
                for line in map(json.loads, body.decode().splitlines()):
                    value = line["value"]
                    if line["key"] == "file":
                        files[value["path"]] = base64.b64decode(value["content"])
                    elif line["key"] == "lfsFile":
                        files[value["path"]] = hub.objects[value["oid"]]
                    else:
                        continue
                    repo.uploaded.append((line["key"], value["path"]))
                sha = repo.commit(revision, files)
                return 200, {}, {"commitOid": sha, "commitUrl": f"{hub.url}/{name}/commit/{sha}", "success": True}
            sha = repo.at(revision)
            if sha is None:
                return 404, {"X-Error-Code": "RevisionNotFound"}, {"error": f"no revision {revision}"}
            tree = repo.commits[sha]
            if what == "tree":
                entries = [{"type": "file", "path": p, "size": len(c), "oid": hashlib.sha1(c).hexdigest()} for p, c in
                           tree.items()]  # fmt: skip
                return 200, {}, entries
            found = {"id": name, "modelId": name, "sha": sha, "private": repo.private, "tags": [], "downloads": 0}
            return 200, {}, {**found, "likes": 0, "siblings": [{"rfilename": path} for path in tree]}

        def resolve(self, repo, revision, path):
            sha = repo.at(revision)
            content = None if sha is None else repo.commits[sha].get(path)
            if content is None:
                code = "RevisionNotFound" if sha is None else "EntryNotFound"
                return 404, {"X-Error-Code": code, **({"X-Repo-Commit": sha} if sha else {})}, {"error": code}
            return 200, {"X-Repo-Commit": sha, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}, content

    def missing():
        return 404, {"X-Error-Code": "RepoNotFound"}, {"error": "Repository not found"}

    def mode(repo, path):
        return "lfs" if repo.lfs and path.endswith(".safetensors") else "regular"

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
