"""What many backups cost: many.py [COUNT [MILLISECONDS]], 20,000 backups on a host that takes 20 ms for each answer by default.

Runs pgbk (PGBK, else target/release/pgbk) on the database DB_NAME of the server that DB_HOST and the like lead to, against a small S3 host
of its own in memory, and prints for each command how long it took, of which pgbk its processor, how many requests it made, and the time that so many requests one after
the other would have taken: the ratio of the two is what counts. Nothing is kept.
"""

import asyncio
import bisect
import functools
import hashlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

PAGE = 1000


class Host:
    """As much of S3 as pgbk asks for. Every answer comes after the delay, however many are waited for at a time."""

    def __init__(self, delay):
        self.delay, self.objects, self.keys, self.requests = delay, {}, None, 0
        self.ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True).start()
        self.ready.wait()

    async def serve(self):
        self.loop = asyncio.get_running_loop()
        server = await self.loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await server.serve_forever()

    def put(self, key, data):
        if key not in self.objects:
            self.keys = None
        self.objects[key] = data, f'"{hashlib.md5(data).hexdigest()}"'

    def answer(self, method, path, query, headers, body):
        self.requests += 1
        _, _, key = urllib.parse.unquote(path.lstrip("/")).partition("/")
        if method == "PUT":
            if headers.get("if-none-match") == "*" and key in self.objects:
                return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
            self.put(key, body)
            return 200, {"ETag": self.objects[key][1]}, b""
        if method == "DELETE":
            self.keys = None if self.objects.pop(key, None) else self.keys
            return 204, {}, b""
        if not key:
            return self.listing(dict(urllib.parse.parse_qsl(query, keep_blank_values=True)))
        if key not in self.objects:
            return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        data, etag = self.objects[key]
        headers_out = {"ETag": etag, "Last-Modified": "Fri, 27 Nov 2026 04:00:00 GMT"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
        if asked:
            first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
            headers_out["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            return 206, headers_out, data[first:last + 1]
        return 200, headers_out, data

    def listing(self, asked):
        if "uploads" in asked:
            return 200, {}, b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        if "list-type" not in asked:
            return 200, {}, b"<VersioningConfiguration/>"
        if self.keys is None:
            self.keys = sorted(self.objects)
        prefix, after = asked.get("prefix", ""), asked.get("continuation-token", "")
        begin = max(bisect.bisect_right(self.keys, after), bisect.bisect_left(self.keys, prefix))
        end = bisect.bisect_left(self.keys, prefix + "\U0010ffff")
        here = self.keys[begin:min(end, begin + PAGE)]
        more = end > begin + PAGE
        entries = "".join(self.entry(key) for key in here)
        token = f"<NextContinuationToken>{escape(here[-1])}</NextContinuationToken>" if more else ""
        return 200, {}, f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}</ListBucketResult>".encode()


    @functools.lru_cache(maxsize=None)
    def entry(self, key):
        data, etag = self.objects[key]
        return (f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>{escape(etag)}</ETag>"
                f"<LastModified>2026-11-27T04:00:00.000Z</LastModified></Contents>")


class Connection(asyncio.Protocol):
    def __init__(self, host):
        self.host, self.seen = host, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.seen += data
        while b"\r\n\r\n" in self.seen:
            head, rest = self.seen.split(b"\r\n\r\n", 1)
            line, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                if headers.get("expect"):
                    self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            self.seen = rest[length:]
            method, target, _ = line.split(" ")
            path, _, query = target.partition("?")
            status, told, body = self.host.answer(method, path, query, headers, rest[:length])
            told = "".join(f"{name}: {value}\r\n" for name, value in told.items())
            answer = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{told}\r\n".encode()
            answer += b"" if method == "HEAD" else body
            self.host.loop.call_later(self.host.delay, self.transport.write, answer)


def processor():
    """Seconds of all programs that were run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fill(host, name, count):
    """Makes of the only backup as many as there are to be, each half an hour after the other."""
    key = next(key for key in host.objects if key.endswith(".meta"))
    text, payload = host.objects[key][0].decode(), host.objects[next(key for key in host.objects if not key.endswith(".meta"))]
    stem = key.rsplit("/", 1)[1].removesuffix(".meta")
    ending = next(key for key in host.objects if not key.endswith(".meta")).rsplit("/", 1)[1].removeprefix(stem)
    covered = text.split(',\n  "checksum"')[0]
    stated = re.search(r'"taken_at": "([^"]+)"', covered)[1]
    for at in range(1, count):
        taken = time.gmtime(1_700_000_000 + at * 1800)
        other = f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', taken)}"
        changed = covered.replace(stem, other).replace(stated, time.strftime("%Y-%m-%dT%H:%M:%SZ", taken))
        total = hashlib.blake2b(changed.encode(), digest_size=32).hexdigest()
        host.put(f"{name}/{other}.meta", f'{changed},\n  "checksum": "{total}"\n}}\n'.encode())
        host.put(f"{name}/{other}{ending}", payload[0])


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    delay = float(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0.02
    name, program = os.environ["DB_NAME"], os.environ.get("PGBK", "target/release/pgbk")
    host = Host(delay)
    with tempfile.TemporaryDirectory() as state:
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PG", "DB_")) or name == "PATH"}
        common = kept | {"S3_HOST_BASE": f"http://127.0.0.1:{host.port}", "S3_BUCKET": "bucket", "S3_ACCESS_KEY_ID": "key",
                         "S3_SECRET_ACCESS_KEY": "secret", "STATE_DIR": state, "NO_ENCRYPT": "1"}

        def run(what, *arguments, **more):
            before, begun, spent = host.requests, time.monotonic(), processor()
            ended = subprocess.run([program, *arguments], env=common | more, capture_output=True, text=True, check=False)
            took, asked = time.monotonic() - begun, host.requests - before
            if ended.returncode:
                sys.exit(f"{what}: exit code {ended.returncode}\n{ended.stderr}")
            print(f"{what:36} {took:7.2f} s  {processor() - spent:6.2f} s of processor  {asked:6} requests  "
                  f"{asked * delay / took:6.1f} at a time", flush=True)

        run("the first backup", "backup")
        fill(host, name, count)
        print(f"{count} backups, {delay * 1000:.0f} ms for each answer")
        run("list, the first time", "list", "--json")
        run("list again", "list", "--json")
        run("a run without rules", "backup")
        run("a run whose rule lets nothing go", "backup", KEEP_LAST=str(2 * count))
        run("a run whose rule lets one go", "backup", KEEP_LAST=str(count + 1))
        run("the next one", "backup", KEEP_LAST=str(count + 1))


main()
