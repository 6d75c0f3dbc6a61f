"""Kafka to files by one member and by three of a group. benches/kafka.sh calls it."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

BINARY = str(Path(os.environ["BINARY"]).absolute())
BROKER = os.environ["BROKER"]
LINES = int(os.environ.get("LINES", "3000000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
PARTITIONS = 12
WORK = Path(tempfile.mkdtemp(prefix="logrisk-bench-"))
TEXTS = [
    "INFO GET /cart/{} 200 in {} ms", "WARN slow query took {} ms on replica {}", "ERROR payment {} failed: card declined by bank {}",
    "INFO order {} placed with {} items", "ERROR connection to 10.0.0.{} refused after {} tries", "DEBUG cache entry {} refreshed in {} us",
    "INFO worker {} took job {}", "WARN disk /dev/sda{} is {} % full",
]


def fill():
    """Equally many lines in each partition; returns their bytes."""
    admin = AdminClient({"bootstrap.servers": BROKER})
    admin.create_topics([NewTopic("bench", PARTITIONS, 1)])["bench"].result()
    producer = Producer({"bootstrap.servers": BROKER, "linger.ms": 50, "compression.type": "lz4"})
    size = 0
    for number in range(LINES):
        line = f"2026-01-15T10:30:45.{number % 1000:03}Z " + TEXTS[number % len(TEXTS)].format(number, number % 97)
        size += len(line)
        while True:
            try:
                producer.produce("bench", line, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(300) == 0
    return size


class Member:
    """A data plane of one scoring thread, from the topic to a file."""

    def __init__(self, group, number):
        self.folder = WORK / f"{group}-{number}"
        self.folder.mkdir()
        settings = self.folder / "logrisk.yaml"
        settings.write_text(json.dumps({
            "sources": {"in": {"kafka": {"brokers": [BROKER], "topics": ["bench"], "group": group}}},
            "sinks": {"out": {"file": {"path": str(self.folder / "out"), "sync": False}}},
            "run": {"data_dir": str(self.folder / "data")},
            "engine": {"threads": 1},
        }))
        self.read = self.lines = 0
        self.process = subprocess.Popen([BINARY, "run", "-c", str(settings)], stderr=subprocess.DEVNULL)

    def count(self):
        """Lines in the file, by what was appended since the last call."""
        try:
            with open(self.folder / "out", "rb") as file:
                file.seek(self.read)
                while chunk := file.read(1 << 24):
                    self.read += len(chunk)
                    self.lines += chunk.count(b"\n")
        except FileNotFoundError:
            pass
        return self.lines

    def end(self):
        """Ends it in order; the most memory that it took, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        self.process.terminate()
        assert self.process.wait() == 0
        shutil.rmtree(self.folder)
        return int(status.split("VmHWM:")[1].split()[0]) >> 10


def run(members, group):
    """Lines a second from when every member has written something, since joining a group takes seconds, to the last line."""
    running = [Member(group, number) for number in range(members)]
    began = None
    while True:
        counts = [member.count() for member in running]
        if began is None and all(counts):
            began, first = time.time(), sum(counts)
        if sum(counts) >= LINES:
            break
        time.sleep(0.05)
    seconds = time.time() - began
    result = {"lines_per_second": (LINES - first) / seconds, "seconds": seconds, "lines_before": first, "lines": counts}
    return result | {"mebibytes": max(member.end() for member in running)}


def only_count(group):
    """Lines a second of a consumer that does nothing with them."""
    consumer = Consumer({"bootstrap.servers": BROKER, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe(["bench"])
    seen, began = 0, None
    while seen < LINES:
        messages = consumer.consume(10_000, 1)
        if messages and began is None:
            began = time.time()
        seen += len(messages)
    seconds = time.time() - began
    consumer.close()
    return LINES / seconds


size = fill()
one, three, counted = [], [], []
for turn in range(ROUNDS):
    counted.append(only_count(f"count-{turn}"))
    one.append(run(1, f"one-{turn}"))
    three.append(run(3, f"three-{turn}"))
shutil.rmtree(WORK)
rates = {name: statistics.median(run["lines_per_second"] for run in runs) for name, runs in (("one", one), ("three", three))}
cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
print(json.dumps({
    "what": "Kafka, 12 partitions, to files of scored documents: one member against three of a group, a scoring thread each",
    "commit": subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip(),
    "processor": cpu, "cores": os.cpu_count(), "lines": LINES, "bytes": size,
    "one_lines_per_second": round(rates["one"]), "three_lines_per_second": round(rates["three"]),
    "three_over_one": round(rates["three"] / rates["one"], 2),
    "counting_only_lines_per_second": round(statistics.median(counted)),
    "mebibytes_of_a_member": max(run["mebibytes"] for run in one + three),
    "raw": {"one": one, "three": three, "counting_only": counted},
}, indent=1))
