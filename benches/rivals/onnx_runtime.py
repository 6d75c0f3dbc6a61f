"""Lines a second of ONNX Runtime on the shape and the token ids of the encoder's own benchmark; JSON on standard output.

    python benches/rivals/onnx_runtime.py --ids ids.json [--models FOLDER] [--seconds 2] [--lines 128] [--shape 4x256]

Needs torch, transformers, onnx, onnxruntime. f32 and dynamic int8, one thread: single lines at their true lengths, batches
of 32 padded to their longest, and single lines padded to 128 tokens. As in the other benchmark the result is taken from
the shortest time of each batch, so that a busy machine hurts both alike.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnxruntime


def export(folder: Path, layers: int, hidden: int) -> None:
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import BertConfig, BertModel

    heads = 12 if hidden == 384 else hidden // 64
    config = BertConfig(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * hidden,
        attn_implementation="eager",
    )

    class Cls(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel(config, add_pooling_layer=False)

        def forward(self, input_ids, attention_mask):
            return self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[:, 0]

    ids = torch.ones(2, 16, dtype=torch.long)
    axes = {0: "lines", 1: "tokens"}
    torch.manual_seed(1)
    torch.onnx.export(
        Cls().eval(), (ids, torch.ones_like(ids)), folder / "f32.onnx", dynamo=False, opset_version=17,
        input_names=["input_ids", "attention_mask"], output_names=["cls"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "cls": {0: "lines"}},
    )
    quantize_dynamic(folder / "f32.onnx", folder / "int8.onnx", weight_type=QuantType.QInt8)


def lines_a_second(session: onnxruntime.InferenceSession, batches: list[dict], lines: int, seconds: float) -> float:
    best = [float("inf")] * len(batches)
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds or best[-1] == float("inf"):
        for number, batch in enumerate(batches):
            start = time.perf_counter()
            session.run(None, batch)
            best[number] = min(best[number], time.perf_counter() - start)
    return lines / sum(best)


def split(lines: list[list[int]], size: int, pad_to: int | None) -> list[dict]:
    batches = []
    for start in range(0, len(lines), size):
        part = lines[start : start + size]
        width = pad_to or max(map(len, part))
        ids, mask = np.zeros((2, len(part), width), dtype=np.int64)
        for row, line in enumerate(part):
            ids[row, : len(line)] = line
            mask[row, : len(line)] = 1
        batches.append({"input_ids": ids, "attention_mask": mask})
    return batches


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ids", required=True)
    parser.add_argument("--models", type=Path, default=Path(tempfile.gettempdir()) / "logrisk-rivals")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--lines", type=int, default=128)
    parser.add_argument("--shape", default="4x256")
    arguments = parser.parse_args()
    folder = arguments.models / arguments.shape
    if not (folder / "int8.onnx").exists():
        folder.mkdir(parents=True, exist_ok=True)
        export(folder, *map(int, arguments.shape.split("x")))
    results = []
    for name, lines in json.loads(Path(arguments.ids).read_text()).items():
        lines = [line[:128] for line in lines[: arguments.lines]]
        for precision in ("f32", "int8"):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            session = onnxruntime.InferenceSession(folder / f"{precision}.onnx", options, providers=["CPUExecutionProvider"])
            for size, pad_to in ((1, None), (32, None), (1, 128)):
                rate = lines_a_second(session, split(lines, size, pad_to), len(lines), arguments.seconds)
                results.append({
                    "input": name, "precision": precision, "batch": size, "padded_to": pad_to, "threads": 1,
                    "lines_per_second": round(rate, 1),
                })
    print(json.dumps({"engine": f"onnxruntime {onnxruntime.__version__}", "shape": arguments.shape, "results": results}))


if __name__ == "__main__":
    main()
