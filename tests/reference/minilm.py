"""Makes minilm.json: what PyTorch says of a few lines with MiniLM-L6's real weights.

    pip install torch transformers
    python tests/reference/minilm.py "$(tests/models/minilm.sh)" > tests/reference/minilm.json

For each line its token ids and the last hidden vector of [CLS], in f32, one line at a time, without padding.
"""

import json
import sys

import torch
from transformers import AutoModel, AutoTokenizer

LINES = [
    "a",
    "error: connection refused",
    "INFO nginx started",
    "FATAL kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
    "warn kubelet: pod_workers.go:190: error syncing pod, skipping: failed to \"StartContainer\" with CrashLoopBackOff",
    "E1105 10:24:51.123456 1 leaderelection.go:330] error retrieving resource lock kube-system/kube-scheduler",
    "GET /api/v1/orders/8c7f 503 upstream connect error or disconnect/reset before headers latency=30001ms",
    "Größe überschritten: café naïve 日本語 ✅ done → next",
    "java.lang.OutOfMemoryError: Java heap space " + "at com.example.Worker.run(Worker.java:42) " * 24,
    "disk /dev/sda1 at 97% " * 30,
]


def main(folder: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    cases = []
    for line in LINES:
        encoded = tokenizer(line, return_tensors="pt", padding=False, truncation=True, max_length=512)
        with torch.no_grad():
            hidden = model(**encoded).last_hidden_state[0, 0]
        vector = [float(f"{value:.7g}") for value in hidden.tolist()]
        cases.append({"line": line, "ids": encoded["input_ids"][0].tolist(), "cls": vector})
    print("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]")


main(sys.argv[1])
