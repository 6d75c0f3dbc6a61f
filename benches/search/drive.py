"""`forward` to OpenSearch by logrisk, against a bare loop that sends the very same bulk bodies. benches/search.sh calls it."""

import http.client
import http.server
import json
import os
import platform
import queue
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import msgpack

BINARY = str(Path(os.environ["BINARY"]).absolute())
HOST, PORT = os.environ["SEARCH"].removeprefix("http://").split(":")
RECORDS = int(os.environ.get("RECORDS", "200000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
CHUNK = 2000
SENDERS = 4
WRITES = 4
WORK = Path(tempfile.mkdtemp(prefix="logrisk-bench-"))
TEXTS = [
    "INFO GET /cart/{} 200 in {} ms", "WARN slow query took {} ms on replica {}", "ERROR payment {} failed: card declined by bank {}",
    "INFO order {} placed with {} items", "ERROR connection to 10.0.0.{} refused after {} tries", "DEBUG cache entry {} refreshed in {} us",
    "INFO worker {} took job {}", "WARN disk /dev/sda{} is {} % full",
]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def chunks():
    """Forward messages, each acknowledged by its name."""
    made = []
    for start in range(0, RECORDS, CHUNK):
        entries = [
            [1_770_000_000 + number // 1000, {"log": TEXTS[number % len(TEXTS)].format(number, number % 97), "pod": f"shop-{number % 7}"}]
            for number in range(start, min(start + CHUNK, RECORDS))
        ]
        name = f"c{start}"
        made.append((name, msgpack.packb(["app", entries, {"chunk": name}])))
    return made


class Logrisk:
    """A data plane from `forward` to one server."""

    def __init__(self, server):
        self.port = free_port()
        folder = Path(tempfile.mkdtemp(dir=WORK))
        settings = folder / "logrisk.yaml"
        settings.write_text(
            f"sources: {{in: {{forward: {{address: '127.0.0.1:{self.port}'}}}}}}\n"
            f"sinks: {{search: {{elastic: {{hosts: ['{server}'], index: bench, requests: {WRITES}}}}}}}\n"
            f"run: {{data_dir: {folder}/data}}\nlog: {{level: warn}}\n"
        )
        self.child = subprocess.Popen([BINARY, "run", "-c", str(settings)])
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                time.sleep(0.05)

    def send(self, made):
        """Seconds until the last chunk was acknowledged."""
        waiting = queue.SimpleQueue()
        for chunk in made:
            waiting.put(chunk)
        failed = []

        def sender():
            try:
                with socket.create_connection(("127.0.0.1", self.port)) as stream:
                    answers = msgpack.Unpacker()
                    while True:
                        try:
                            name, message = waiting.get_nowait()
                        except queue.Empty:
                            return
                        stream.sendall(message)
                        acknowledged = None
                        while acknowledged is None:
                            answers.feed(stream.recv(65536))
                            acknowledged = next(iter(answers), None)
                        assert acknowledged["ack"] == name
            except Exception as error:
                failed.append(error)

        senders = [threading.Thread(target=sender) for _ in range(SENDERS)]
        began = time.perf_counter()
        for one in senders:
            one.start()
        for one in senders:
            one.join()
        if failed:
            raise failed[0]
        return time.perf_counter() - began

    def stop(self):
        self.child.terminate()
        self.child.wait()


def record_bodies(made):
    """The bulk bodies that logrisk sends for these records."""
    bodies = []

    class Recorder(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            answer = {"version": {"number": "3.0.0", "distribution": "opensearch"}, "acknowledged": True}
            if self.path.endswith("_bulk") or "_bulk?" in self.path:
                bodies.append((self.path, dict(self.headers), body))
                count = body.count(b"\n") // 2
                answer = {"errors": False, "items": [{"index": {"status": 201}}] * count}
            text = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = do_HEAD = answer

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    plane = Logrisk(f"http://127.0.0.1:{server.server_port}")
    plane.send(made)
    plane.stop()
    server.shutdown()
    return bodies


def bare(bodies):
    """Seconds that the same bodies take when nothing else is done."""
    waiting = queue.SimpleQueue()
    for body in bodies:
        waiting.put(body)

    def sender():
        connection = http.client.HTTPConnection(HOST, int(PORT))
        while True:
            try:
                path, headers, body = waiting.get_nowait()
            except queue.Empty:
                return
            kept = {name: value for name, value in headers.items() if name.lower() in ("content-type", "content-encoding")}
            connection.request("POST", path, body, kept)
            answer = connection.getresponse()
            assert not json.loads(answer.read())["errors"]

    senders = [threading.Thread(target=sender) for _ in range(WRITES)]
    began = time.perf_counter()
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    return time.perf_counter() - began


def ask(method, path):
    connection = http.client.HTTPConnection(HOST, int(PORT))
    connection.request(method, path)
    return json.loads(connection.getresponse().read())


def fresh():
    ask("DELETE", "/bench")


def counted():
    ask("POST", "/bench/_refresh")
    return ask("GET", "/bench/_count")["count"]


def main():
    made = chunks()
    bodies = record_bodies(made)
    seconds = {"logrisk": [], "bare": []}
    for number in range(ROUNDS + 1):
        fresh()
        plane = Logrisk(f"http://{HOST}:{PORT}")
        ours = plane.send(made)
        plane.stop()
        assert counted() == RECORDS, counted()
        fresh()
        theirs = bare(bodies)
        assert counted() == RECORDS, counted()
        if number:  # the first round warms the server up
            seconds["logrisk"].append(ours)
            seconds["bare"].append(theirs)
    ratios = [bare_seconds / ours for ours, bare_seconds in zip(seconds["logrisk"], seconds["bare"])]
    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    print(json.dumps({
        "what": "forward to OpenSearch by logrisk, over a bare loop that sends the same bulk bodies",
        "processor": processor, "cores": os.cpu_count(), "records": RECORDS, "bulk_requests": len(bodies),
        "bulk_bytes": sum(len(body) for _, _, body in bodies),
        "records_per_second": {name: round(RECORDS / statistics.median(own)) for name, own in seconds.items()},
        "of_the_bare_loop": round(statistics.median(ratios), 3),
        "seconds": seconds,
    }, indent=1))


main()
