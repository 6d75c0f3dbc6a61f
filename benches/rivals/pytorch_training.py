#!/usr/bin/env python3
"""The training step of crates/train/benches/step.rs in PyTorch: the same shapes, lines, batches and optimiser.

Lines are sorted into batches of similar length, as ours are, and padded to the longest of their batch; the last layer is
computed for all tokens, as transformers does. AdamW is fused where PyTorch has it, and clipping is its own.

    OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0 KMP_BLOCKTIME=0 \
        python3 benches/rivals/pytorch_training.py [mini] [minilm4] [--threads N] [--seconds S]

Those variables keep PyTorch's threads from spinning: with both cores busy it otherwise collapses.
"""

import argparse
import os
import time

for variable, value in {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}.items():
    os.environ.setdefault(variable, value)

import numpy
import torch
import transformers

LINES, BATCH, BUCKET, VOCABULARY = 16_384, 64, 4096, 8192
SHAPES = {
    "mini": dict(hidden_size=256, num_attention_heads=4, intermediate_size=1024),
    "minilm4": dict(hidden_size=384, num_attention_heads=12, intermediate_size=1536),
}


def uniform(count: int, seed: int) -> numpy.ndarray:
    """`logrisk_score::weights::fill_uniform` with limit 1."""
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z ^= z >> numpy.uint64(31)
    return (z >> numpy.uint64(40)).astype(numpy.float32) / numpy.float32(1 << 24) * 2 - 1


class Model(torch.nn.Module):
    def __init__(self, shape: dict):
        super().__init__()
        config = transformers.BertConfig(
            vocab_size=VOCABULARY, num_hidden_layers=4, max_position_embeddings=128, hidden_dropout_prob=0.1,
            attention_probs_dropout_prob=0.0, **shape)
        self.bert = transformers.BertModel(config, add_pooling_layer=False)
        hidden = shape["hidden_size"]
        self.head = torch.nn.Sequential(
            torch.nn.Dropout(0.1), torch.nn.Linear(hidden, hidden // 2), torch.nn.ReLU(), torch.nn.Dropout(0.1))
        self.risk = torch.nn.Linear(hidden // 2, 11)
        self.tag = torch.nn.Linear(hidden // 2, 5)

    def forward(self, ids, mask):
        first = self.head(self.bert(ids, mask).last_hidden_state[:, 0])
        return self.risk(first), self.tag(first)


def batches(lengths: numpy.ndarray, ids: numpy.ndarray):
    random = numpy.random.default_rng(1)
    order = random.permutation(LINES)
    cut = []
    for start in range(0, LINES, BUCKET):
        bucket = order[start:start + BUCKET]
        bucket = bucket[numpy.argsort(lengths[bucket], kind="stable")]
        cut += [bucket[i:i + BATCH] for i in range(0, len(bucket), BATCH)]
    random.shuffle(cut)
    for lines in cut:
        longest = lengths[lines].max()
        mask = torch.from_numpy((numpy.arange(longest)[None] < lengths[lines][:, None]).astype(numpy.int64))
        yield torch.from_numpy(ids[lines][:, :longest].astype(numpy.int64)), mask, torch.from_numpy(lines % 11)


def measure(name: str, threads: int, seconds: float):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = Model(SHAPES[name]).train()
    if name == "minilm4":
        for parameter in model.bert.embeddings.parameters():
            parameter.requires_grad = False
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01, fused=True)
    shares = uniform(LINES, 42).astype(numpy.float64)
    lengths = numpy.minimum(4 - 10 * numpy.log(numpy.maximum(0.5 - 0.5 * shares, 1e-6)), 64).astype(numpy.int64)
    ids = numpy.minimum((uniform(64 * LINES, 43) + 1) * 0.5 * VOCABULARY, VOCABULARY - 1).reshape(LINES, 64)
    lines = steps = 0
    started = None
    while True:
        for tokens, mask, risk in batches(lengths, ids):
            if steps == 5:
                started, cpu_started, lines = time.monotonic(), time.process_time(), 0
            risks, _ = model(tokens, mask)
            target = torch.nn.functional.one_hot(risk, 11).float()
            distance = (risks.softmax(-1).cumsum(-1) - target.cumsum(-1)).square().sum(-1).mean()
            loss = torch.nn.functional.cross_entropy(risks, target) + 0.5 * distance
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            lines, steps = lines + len(risk), steps + 1
            elapsed = time.monotonic() - started if started else 0
            if elapsed > seconds:
                cpu = time.process_time() - cpu_started
                print(f"{name:8} threads {threads}: {lines / elapsed:7.1f} lines/s ({lines / cpu:.1f} a CPU second), "
                      f"{elapsed * 1e3 / (steps - 5):6.1f} ms a step, mean {lengths.mean():.1f} tokens")
                return


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("shapes", nargs="*", default=list(SHAPES))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    for name in arguments.shapes:
        for threads in [arguments.threads] if arguments.threads else [1, 2]:
            measure(name, threads, arguments.seconds)
