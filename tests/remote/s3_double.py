"""A bucket on 127.0.0.1 that speaks as much of S3 as pyarrow does, and can fall silent when told to."""

import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_TIME = "Sat, 28 Nov 2026 12:00:00 GMT"


class S3Double:
    """Attributes: `objects` ("bucket/key" -> bytes), `asked` (request lines and headers seen),
    `silent` (requests are taken and never answered), `answer_bytes` (an object's bytes after which it falls silent)."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.silent = False
        self.answer_bytes: int | None = None
        self.parts: dict[str, dict[int, bytes]] = {}
        self.ended = threading.Event()
        double = self

        class Handler(_Handler):
            s3 = double

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    s3: S3Double
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, BrokenPipeError, OSError):
            self.close_connection = True

    def do_HEAD(self) -> None:
        if "/" in self.key().rstrip("/"):
            self.answer_object(head=True)
        else:
            self.answer(200)  # every bucket is there

    def do_GET(self) -> None:
        query = self.query()
        if "list-type" in query:
            self.answer_list(query)
        else:
            self.answer_object(head=False)

    def do_PUT(self) -> None:
        body, query = self.body(), self.query()
        if "uploadId" in query:
            self.s3.parts[query["uploadId"]][int(query["partNumber"])] = body
        else:
            self.s3.objects[self.key()] = body
        self.answer(200, headers={"ETag": '"0"'})

    def do_POST(self) -> None:
        self.body()
        query = self.query()
        if "uploads" in query:
            upload = uuid.uuid4().hex
            self.s3.parts[upload] = {}
            self.answer(
                200, f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
            return
        parts = self.s3.parts.pop(query["uploadId"])
        self.s3.objects[self.key()] = b"".join(parts[number] for number in sorted(parts))
        self.answer(200, "<CompleteMultipartUploadResult><ETag>0</ETag></CompleteMultipartUploadResult>")

    def do_DELETE(self) -> None:
        self.s3.objects.pop(self.key(), None)
        self.answer(204)

    def answer_object(self, *, head: bool) -> None:
        content = self.s3.objects.get(self.key())
        if content is None:
            self.answer(404, "" if head else "<Error><Code>NoSuchKey</Code></Error>")
            return
        first, last, code = 0, len(content) - 1, 200
        if "Range" in self.headers:
            begin, _, end = self.headers["Range"].removeprefix("bytes=").partition("-")
            first, last, code = int(begin), min(int(end or last), last), 206
        part = content[first : last + 1]
        self.note()
        self.send_response(code)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Last-Modified", _TIME)
        self.send_header("ETag", '"0"')
        if code == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        if head:
            return
        limit = self.s3.answer_bytes
        if limit is not None and last >= limit:
            self.wfile.write(part[: max(0, limit - first)])
            self.s3.ended.wait()
        self.wfile.write(part)

    def answer_list(self, query: dict[str, str]) -> None:
        bucket = unquote(urlsplit(self.path).path).strip("/")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        keys, folders = [], set()
        for name in sorted(self.s3.objects):
            key = name.removeprefix(f"{bucket}/")
            if not name.startswith(f"{bucket}/") or not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
            else:
                keys.append(key)
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.s3.objects[f'{bucket}/{key}'])}</Size>"
            "<LastModified>2026-11-28T12:00:00.000Z</LastModified></Contents>"
            for key in keys
        ) + "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders))
        count = len(keys) + len(folders)
        self.answer(
            200,
            f"<ListBucketResult><Name>{bucket}</Name><KeyCount>{count}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{rows}</ListBucketResult>",
        )

    def answer(self, code: int, text: str = "", headers: dict[str, str] | None = None) -> None:
        self.note()
        body = text.encode()
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def note(self) -> None:
        """Remember the request, or never answer it."""
        self.s3.asked.append(f"{self.requestline}\n{self.headers}")
        if self.s3.silent:
            self.s3.ended.wait()

    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}

    def key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/")

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        else:
            content = self._chunks()
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            content = _without_aws_chunks(content)
        return content

    def _chunks(self) -> bytes:
        content = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return content


def _without_aws_chunks(content: bytes) -> bytes:
    """AWS's own framing inside the body: size in hex, optional signature, data; trailers at the end."""
    found = b""
    while content:
        line, _, content = content.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        found, content = found + content[:size], content[size + 2 :]
    return found
