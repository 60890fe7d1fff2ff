# SPDX-License-Identifier: Apache-2.0
"""A stand-in for a model hub on 127.0.0.1: answers as the real one does, with the faults that a file's name asks for. Models lie
in a dictionary: id -> {path: bytes}. Requests are kept in `log` as (method, path, headers)."""
import hashlib
import http.server
import json
import threading
import time
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    def __init__(self, models, token=None):
        self.models, self.token, self.log, self.tries = models, token, [], {}
        self.cdn = self.serve(None)
        self.main = self.serve(self.cdn.server_address[1])

    def serve(self, cdn_port):
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *a):
                pass

            def answer(self, status, body=b"", headers=()):
                self.send_response(status)
                for k, v in headers:
                    self.send_header(k, v)
                if not any(k == "Content-Length" for k, _ in headers):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_HEAD(self):
                self.handle_one(hub)

            def do_GET(self):
                self.handle_one(hub)

            def handle_one(self, hub):
                hub.log.append((self.command, self.path, dict(self.headers), cdn_port is None))
                if cdn_port is None:
                    return hub.send_file(self, urllib.parse.unquote(self.path[len("/cdn/"):]))
                if hub.token and self.headers.get("Authorization") != "Bearer " + hub.token:
                    return self.answer(401, b"{}", [("X-Error-Code", "GatedRepo")])
                hub.main_path(self, cdn_port)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda request, address: None  # clients that go away are part of the tests
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.main.server_address[1]

    def main_path(self, r, cdn_port):
        path = urllib.parse.unquote(r.path.split("?")[0]).lstrip("/")
        for model, files in self.models.items():
            if path.startswith("api/models/%s/revision/" % model):
                revision = path.rsplit("/", 1)[1]
                if revision not in ("main", COMMIT, "v1"):
                    return r.answer(404, b"{}", [("X-Error-Code", "RevisionNotFound")])
                if self.count("listing " + model) == 1 and "busy" in model:
                    return r.answer(503, b"", [("Retry-After", "1")])
                body = files.get("listing!")
                if body is None:
                    body = json.dumps({"id": model, "sha": COMMIT, "siblings": [{"rfilename": f, "size": len(d)} for f, d in files.items()]}).encode()
                return r.answer(200, body)
            prefix = "%s/resolve/%s/" % (model, COMMIT)
            if path.startswith(prefix) and path[len(prefix):] in files:
                name = path[len(prefix):]
                data = files[name]
                head = [("X-Repo-Commit", COMMIT)]
                if name.endswith(".safetensors"):
                    sha = hashlib.sha256(data + (b"!" if "checksum" in name else b"")).hexdigest()
                    head += [("X-Linked-Etag", '"%s"' % sha), ("X-Linked-Size", str(len(data))), ("Location", "http://127.0.0.1:%d/cdn/%s/%s" % (cdn_port, model, name))]
                    return r.answer(302, b"", head)
                if "moved" in name and "again" not in r.path:
                    return r.answer(307, b"", head + [("Location", urllib.parse.quote("/" + path) + "?again")])
                return self.send_file(r, model + "/" + name, head + [("ETag", '"%s"' % hashlib.sha1(data).hexdigest())])
        r.answer(404, b"{}", [("X-Error-Code", "RepoNotFound")])

    def count(self, key):
        self.tries[key] = self.tries.get(key, 0) + 1
        return self.tries[key]

    def send_file(self, r, path, head=()):
        model = next(m for m in self.models if path.startswith(m + "/"))
        name = path[len(model) + 1:]
        data = self.models[model][name]
        head = list(head)
        if r.command == "HEAD":
            return r.answer(200, b"", head + [("Content-Length", str(len(data)))])
        n = self.count(path)
        if "flaky" in name and n <= 2:
            return r.answer(500)
        first, status = 0, 200
        wanted = r.headers.get("Range", "")
        if wanted.startswith("bytes=") and "norange" not in name:
            first, status = int(wanted[6:].split("-")[0]), 206
            if first >= len(data):
                return r.answer(416)
            head.append(("Content-Range", "bytes %d-%d/%d" % (first, len(data) - 1, len(data))))
        body = data[first:]
        if "longer" in name:
            body += b"more than there should be"
        head.append(("Content-Length", str(len(body))))
        r.send_response(status)
        for k, v in head:
            r.send_header(k, v)
        r.end_headers()
        cut = len(body)
        if "cut" in name and n <= 3:
            cut = max(1, len(body) // 3)
        if "never" in name:
            cut = len(body) // 2 if n == 1 else 0
        if "stall" in name and n == 1:
            r.wfile.write(body[:100])
            r.wfile.flush()
            time.sleep(8)
            return r.connection.close()
        step = 20000 if "slow" in name else 1 << 20
        for at in range(0, cut, step):
            r.wfile.write(body[at:min(at + step, cut)])
            r.wfile.flush()
            if "slow" in name:
                time.sleep(0.1)
        if cut < len(body):
            r.close_connection = True
            r.connection.shutdown(2)
