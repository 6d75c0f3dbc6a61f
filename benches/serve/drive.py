"""Drives `logrisk serve` and its rival with oha, and prints what it measured. benches/serve.sh calls it."""

import itertools
import json
import os
import platform
import random
import re
import resource
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

BINARY, OHA, PYTHON = (str(Path(os.environ[name]).absolute()) for name in ("BINARY", "OHA", "PYTHON"))
SECONDS = int(os.environ.get("SECONDS_EACH", "10"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
ROOT = Path(__file__).resolve().parents[2]
WORK = Path(tempfile.mkdtemp(prefix="logrisk-bench-"))
CONNECTIONS = 64
BATCH = 512


def say(text=""):
    print(text, flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process that listens, until the end of a `with`."""

    def __init__(self, command, ready, stop_with=signal.SIGTERM):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        began = time.perf_counter()
        command = [part.replace("PORT", str(self.port)) for part in command]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while True:
            try:
                with urllib.request.urlopen(self.url + ready, timeout=5) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"{command[0]} ended at its start")
                time.sleep(0.002)
        self.started = time.perf_counter() - began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return answer.read().decode()

    def metric(self, name):
        found = re.search(rf"^{name} (\S+)$", self.get("/metrics"), re.MULTILINE)
        return float(found.group(1))

    def resident(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024 / 1e6


def ours(*arguments):
    return Server([BINARY, "serve", "--port", "PORT", "--log-level", "error", *arguments], "/readyz")


def rival():
    command = [PYTHON, str(ROOT / "benches/rivals/fastapi_server.py"), "--port", "PORT", "--model", str(WORK / "model.onnx")]
    return Server([*command, "--tokenizer", str(WORK / "tokenizer/tokenizer.json")], "/health")


def load(server, path, bodies, *arguments, connections=CONNECTIONS, seconds=SECONDS):
    """oha's summary of requests whose bodies are drawn from a file with one a line."""
    command = [
        OHA, "--no-tui", "--output-format", "json", "-m", "POST", "-T", "application/json", "-Z", str(bodies),
        "-c", str(connections), "-z", f"{seconds}s", "-w", *map(str, arguments), server.url + path,
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    summary = json.loads(done.stdout)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    summary["client_share"] = used / (summary["summary"]["total"] * os.cpu_count())
    return summary


def judged(server, path, bodies, **more):
    """Lines a second that the model judged under that load (a body drawn twice is in the cache), and oha's summary."""
    before = server.metric("logrisk_judged_lines_total")
    summary = load(server, path, bodies, **more)
    # oha's own time: before it begins, it reads its bodies.
    return (server.metric("logrisk_judged_lines_total") - before) / summary["summary"]["total"], summary


def rate(summary):
    return summary["summary"]["requestsPerSec"]


def quantile(summary, name):
    return 1000 * summary["latencyPercentiles"][name]


def statuses(summary):
    errors = summary.get("errorDistribution") or {}
    return ", ".join(f"{count} × {what}" for what, count in {**summary["statusCodeDistribution"], **errors}.items())


# ---- lines -------------------------------------------------------------------------------------------------------------

WORDS = """amber birch cedar delta ember fjord grove heron inlet jade knoll larch maple north ocean pearl quartz river
stone tulip umber vale willow yarrow zephyr""".split()


def distinct_lines(count):
    """Authored lines, each with words of its own behind it, so that every one is a pattern of its own."""
    texts = []
    for file in sorted((ROOT / "crates/train/catalogue").glob("authored-*.jsonl")):
        texts += [json.loads(line)["text"] for line in file.read_text().splitlines()]
    texts = [re.sub(r"\{\w+\}", "web", text) for text in texts if len(text) < 120 and "\n" not in text]
    random.Random(1).shuffle(texts)
    tails = itertools.product(WORDS, repeat=4)
    return [f"{texts[number % len(texts)]} ({' '.join(tail)})" for number, tail in zip(range(count), tails)]


def write_bodies(name, bodies):
    path = WORK / name
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies))
    return path


# ---- measurements ------------------------------------------------------------------------------------------------------


def starts():
    say("## Start and memory")
    times, memory = [], []
    for _ in range(2 * ROUNDS + 1):
        with ours() as server:
            times.append(1000 * server.started)
            time.sleep(0.2)
            memory.append(server.resident())
    say(f"start to ready, ms: {[round(each) for each in times]}, median {statistics.median(times):.0f} (wanted: at most 300)")
    say(f"resident after load, MB: {[round(each) for each in memory]}, median {statistics.median(memory):.0f} (wanted: at most 100)")
    say()


def repeated(lines):
    say(f"## /predict, 20 lines again and again, {CONNECTIONS} connections, {SECONDS} s each, in turns")
    bodies = write_bodies("repeated.json", [{"log": line} for line in lines[:20]])
    mine, theirs = [], []
    for _ in range(ROUNDS):
        with rival() as server:
            load(server, "/predict", bodies, seconds=2)
            theirs.append(rate(load(server, "/predict", bodies)))
        with ours() as server:
            load(server, "/predict", bodies, seconds=1)
            summary = load(server, "/predict", bodies)
            mine.append(rate(summary))
    ratio = statistics.median(mine) / statistics.median(theirs)
    say(f"rival, requests/s: {[round(each, 1) for each in theirs]}")
    say(f"logrisk, requests/s: {[round(each) for each in mine]}; {statuses(summary)}")
    say(f"ratio of medians: {ratio:.0f} (wanted: at least 40)")
    half = int(statistics.median(mine) / 2)
    with ours() as server:
        load(server, "/predict", bodies, seconds=1)
        calm = load(server, "/predict", bodies, "-q", half, "--latency-correction")
    tail = ", ".join(f"{name} {quantile(calm, name):.2f} ms" for name in ("p50", "p90", "p99", "p99.9"))
    say(f"at half the peak, {rate(calm):.0f} requests/s: {tail} (wanted: p99 at most 10)")
    say()


def model_alone(lines, name):
    """Lines a second of `logrisk score --no-cache` on the same lines and threads, its start taken off: reading and masking are
    about 1 % of that."""
    folder = WORK / name
    folder.mkdir(exist_ok=True)
    # A thread takes a file at a time: small ones keep all threads busy to the end.
    files = [folder / f"{start:06}.log" for start in range(0, len(lines), 128)]
    for number, file in enumerate(files):
        file.write_text("".join(line + "\n" for line in lines[128 * number : 128 * (number + 1)]))
    one = folder / "one.log"
    one.write_text(lines[0] + "\n")

    def seconds(*files):
        began = time.perf_counter()
        command = [BINARY, "score", "--no-cache", "--no-join", "--quiet", "--format", "json", *map(str, files)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began

    return len(lines) / (seconds(*files) - min(seconds(one) for _ in range(3)))


def batches(lines):
    say(f"## /predict/batch, {BATCH} distinct lines a request, one after the other")
    groups = [lines[start : start + BATCH] for start in range(0, len(lines), BATCH)]
    bodies = write_bodies("batches.json", [{"logs": group} for group in groups])
    served, alone, waits = [], [], []
    for _ in range(ROUNDS):
        alone.append(model_alone(lines[: 16 * BATCH], "batches"))
        with ours() as server:
            rate_judged, summary = judged(server, "/predict/batch", bodies, connections=1)
            served.append(rate_judged)
            waits.append(quantile(summary, "p50"))
    share = statistics.median(served) / statistics.median(alone)
    say(f"the encoder alone, lines/s: {[round(each) for each in alone]}")
    say(f"served, lines/s that the model judged: {[round(each) for each in served]}; p50 {statistics.median(waits):.0f} ms")
    say(f"share of the encoder alone: {100 * share:.0f} % (wanted: at least 80)")
    say()


def distinct(lines):
    say(f"## /predict, every line another one, {CONNECTIONS} connections")
    bodies = write_bodies("distinct.json", [{"log": line} for line in lines])
    served, alone, tails, clients, all_statuses = [], [], [], [], ""
    for _ in range(ROUNDS):
        alone.append(model_alone(lines[: 16 * BATCH], "distinct"))
        with ours() as server:
            rate_judged, summary = judged(server, "/predict", bodies)
            served.append(rate_judged)
            tails.append(quantile(summary, "p99"))
            clients.append(summary["client_share"])
            all_statuses = statuses(summary)
    share = statistics.median(served) / statistics.median(alone)
    say(f"the encoder alone, lines/s: {[round(each) for each in alone]}")
    say(f"served, lines/s that the model judged: {[round(each) for each in served]}; {all_statuses}")
    client = statistics.median(clients)
    say(f"share of the encoder alone: {100 * share:.0f} %; oha took {100 * client:.0f} % of the cores, of the rest that is "
        f"{100 * share / (1 - client):.0f} % (wanted: at least 90)")
    say(f"p99, ms: {[round(each) for each in tails]} (wanted: at most 250)")
    with ours() as server:
        summary = load(server, "/predict", bodies, "--stats-success-breakdown", connections=1500)
        refused = summary.get("latencyPercentilesNotSuccessful", {}).get("p99")
        say(f"overload, 1,500 connections: {statuses(summary)}")
        say(f"  p99 of what was answered 200: {1000 * summary['latencyPercentilesSuccessful']['p99']:.0f} ms"
            if "latencyPercentilesSuccessful" in summary else f"  p99 of all: {quantile(summary, 'p99'):.0f} ms")
        if refused:
            say(f"  p99 of what was refused: {1000 * refused:.0f} ms")
        say(f"  resident afterwards: {server.resident():.0f} MB (wanted: at most 200)")
    say()


def swaps(lines):
    say("## Eight changes of the model under full load")
    models = WORK / "data/models"
    models.mkdir(parents=True)
    subprocess.run(["cp", "-r", str(ROOT / "models/mini"), str(models / "mini")], check=True)
    bodies = write_bodies("mixed.json", [{"log": line} for line in lines[:2000]])
    with ours("--data-dir", str(WORK / "data")) as server:
        versions = [model["version"] for model in json.loads(server.get("/models"))["models"]]
        command = [
            OHA, "--no-tui", "--output-format", "json", "-m", "POST", "-T", "application/json", "-Z", str(bodies),
            "-c", str(CONNECTIONS), "-z", f"{SECONDS}s", "-w", server.url + "/predict",
        ]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        took = []
        for number in range(8):
            request = urllib.request.Request(f"{server.url}/models/{versions[number % 2]}/activate", method="POST")
            with urllib.request.urlopen(request, timeout=60) as answer:
                took.append(json.load(answer)["took_ms"])
            time.sleep(SECONDS / 12)
        summary = json.loads(running.communicate()[0])
        say(f"answers: {statuses(summary)} (wanted: 200 alone); p99 {quantile(summary, 'p99'):.0f} ms; changes took {took} ms")
    say()


def main():
    processor = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    say(f"# logrisk serve, commit {commit}; {processor}, {os.cpu_count()} cores; load 1 min before: {os.getloadavg()[0]:.2f}")
    say(f"# {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}; {ROUNDS} rounds of {SECONDS} s; oha shares the cores with the servers")
    say()
    subprocess.run([BINARY, "export", "--onnx", str(WORK / "model.onnx")], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines = distinct_lines(300_000)
    starts()
    repeated(lines)
    batches(lines[:200_000])
    distinct(lines)
    swaps(lines)
    subprocess.run(["rm", "-r", str(WORK)], check=True)


main()
