"""The rival of the whole-binary benchmark: seven `re.sub` masks a line in Python, as the first seed's preprocessing does,
and nothing else: no scoring, no output. Prints lines a second."""

import re
import sys
import time

MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
MASKS = [
    (re.compile(r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?Z?"), "<TIME>"),
    (re.compile(rf"(?:{MONTHS})\s+\d{{1,2}}\s+\d\d:\d\d:\d\d"), "<TIME>"),
    (re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "<ID>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<IP>"),
    (re.compile(r"\b[0-9a-fA-F]{12,}\b"), "<ID>"),
    (re.compile(r"\b(?:pid|PID|tid|TID)[=: ]?\d+\b|\[\d+\]"), "<PID>"),
    (re.compile(r"(?:/[\w.-]+){3,}"), "<PATH>"),
]


def main() -> None:
    with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    began = time.perf_counter()
    for line in lines:
        text = line.strip()
        for pattern, replacement in MASKS:
            text = pattern.sub(replacement, text)
        " ".join(text.split()).lower()
    print(len(lines) / (time.perf_counter() - began))


main()
