#!/usr/bin/env python3
"""Writes the reference gradients that crates/train/tests/gradients.rs compares the hand-written backward pass with.

The encoders are Hugging Face transformers' own (BERT and DistilBERT), the loss is written with torch's functions, and
autograd does the rest. Every tensor is filled by SplitMix64 from a seed, so that only the gradients need storing: for
each its norm and sum, and up to 64 values spread over it.

    python3 tests/reference/gradients.py     (needs torch and transformers; writes crates/train/tests/gradients/*.json)
"""

import json
import pathlib

import numpy
import torch
import transformers

RISKS, TAGS = 11, 5
OPTIONS = {"cumulative": 0.5, "tag": 0.3, "label_smoothing": 0.05}
CLASS_WEIGHTS = [1.0, 0.8, 0.6, 1.2, 1.0, 1.1, 1.0, 1.3, 1.5, 2.0, 2.5]


def uniform(count: int, limit: float, seed: int) -> numpy.ndarray:
    """`logrisk_score::weights::fill_uniform`."""
    with numpy.errstate(over="ignore"):
        steps = numpy.arange(1, count + 1, dtype=numpy.uint64)
        z = numpy.uint64(seed) + steps * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z ^= z >> numpy.uint64(31)
    share = (z >> numpy.uint64(40)).astype(numpy.float32) / numpy.float32(1 << 24)
    return (share * numpy.float32(2) - numpy.float32(1)) * numpy.float32(limit)


class Heads(torch.nn.Module):
    def __init__(self, hidden: int):
        super().__init__()
        self.dense = torch.nn.Linear(hidden, hidden // 2)
        self.risk = torch.nn.Linear(hidden // 2, RISKS)
        self.tag = torch.nn.Linear(hidden // 2, TAGS)

    def forward(self, first):
        inner = torch.relu(self.dense(first))
        return self.risk(inner), self.tag(inner)


def bert(case: dict) -> torch.nn.Module:
    config = transformers.BertConfig(
        vocab_size=case["vocabulary"], hidden_size=case["hidden"], num_hidden_layers=case["layers"],
        num_attention_heads=case["heads"], intermediate_size=case["intermediate"],
        max_position_embeddings=case["positions"], hidden_act=case["activation"], layer_norm_eps=1e-12,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="eager",
    )
    return transformers.BertModel(config, add_pooling_layer=False)


def distilbert(case: dict) -> torch.nn.Module:
    config = transformers.DistilBertConfig(
        vocab_size=case["vocabulary"], dim=case["hidden"], n_layers=case["layers"], n_heads=case["heads"],
        hidden_dim=case["intermediate"], max_position_embeddings=case["positions"], activation=case["activation"],
        dropout=0.0, attention_dropout=0.0, attn_implementation="eager",
    )
    return transformers.DistilBertModel(config)


def names(case: dict) -> list[tuple[str, str]]:
    """(our name, the reference's name) in the order of `Weights::tensors`."""
    pairs = []

    def both(ours: str, theirs: str):
        pairs.extend((f"{ours}.{part}", f"{theirs}.{part}") for part in ("weight", "bias"))

    for table in ("word_embeddings", "position_embeddings"):
        pairs.append((f"embeddings.{table}.weight", f"embeddings.{table}.weight"))
    both("embeddings.LayerNorm", "embeddings.LayerNorm")
    distil = {
        "attention.self.query": "attention.q_lin", "attention.self.key": "attention.k_lin",
        "attention.self.value": "attention.v_lin", "attention.output.dense": "attention.out_lin",
        "attention.output.LayerNorm": "sa_layer_norm", "intermediate.dense": "ffn.lin1",
        "output.dense": "ffn.lin2", "output.LayerNorm": "output_layer_norm",
    }
    for layer in range(case["layers"]):
        for part, other in distil.items():
            ours = f"encoder.layer.{layer}.{part}"
            both(ours, f"transformer.layer.{layer}.{other}" if case["family"] == "distilbert" else ours)
    for head in ("dense", "risk", "tag"):
        both(f"classifier.{head}", f"heads.{head}")
    return pairs


def examples(case: dict) -> list[dict]:
    """Ragged lines with soft targets, some without a tag, with different weights."""
    random = numpy.random.default_rng(case["seed"])
    lines = []
    for length in case["lengths"]:
        target = random.dirichlet(numpy.full(RISKS, 0.3)).astype(numpy.float32)
        lines.append({
            "ids": random.integers(0, case["vocabulary"], length).tolist(),
            "target": [round(float(share), 6) for share in target / target.sum()],
            "tag": int(random.integers(0, TAGS)) if random.random() < 0.7 else None,
            "weight": round(float(random.uniform(0.2, 2.0)), 3),
        })
    return lines


def loss_of(risk, tag, line: dict, smoothing: float):
    raw = torch.tensor(line["target"])
    target = raw * (1 - smoothing) + smoothing / RISKS
    weight = line["weight"] * float((raw * torch.tensor(CLASS_WEIGHTS)).sum())
    total = torch.nn.functional.cross_entropy(risk[None], target[None])
    distance = (risk.softmax(-1).cumsum(-1) - target.cumsum(-1)).square().sum()
    total = total + OPTIONS["cumulative"] * distance
    if line["tag"] is not None:
        label = torch.tensor([line["tag"]])
        total = total + OPTIONS["tag"] * torch.nn.functional.cross_entropy(tag[None], label, label_smoothing=smoothing)
    return weight * total, weight


def main():
    folder = pathlib.Path(__file__).parents[2] / "crates/train/tests/gradients"
    cases = {
        "bert-mini": dict(family="bert", vocabulary=120, hidden=64, layers=4, heads=4, intermediate=256,
                          positions=40, activation="gelu", seed=11, lengths=[12, 3, 33, 1, 17, 8, 2, 25]),
        "distilbert": dict(family="distilbert", vocabulary=90, hidden=96, layers=3, heads=12, intermediate=200,
                           positions=32, activation="gelu", seed=23, lengths=[9, 30, 1, 14, 6]),
        "bert-tanh": dict(family="bert", vocabulary=50, hidden=32, layers=1, heads=2, intermediate=80,
                          positions=16, activation="gelu_new", seed=37, lengths=[5, 16, 2]),
    }
    for name, case in cases.items():
        model = (bert if case["family"] == "bert" else distilbert)(case)
        model.heads = Heads(case["hidden"])
        model.double().train()
        torch.set_default_dtype(torch.float64)
        parameters = dict(model.named_parameters())
        for index, (ours, theirs) in enumerate(names(case)):
            parameter = parameters[theirs]
            # Wide enough that attention is far from uniform and every activation leaves its linear part.
            limit = 0.5 if ours.endswith("LayerNorm.weight") else 0.2
            values = uniform(parameter.numel(), limit, case["seed"] + index).astype(numpy.float64)
            if ours.endswith("LayerNorm.weight"):
                values += 1.0
            parameter.data = torch.from_numpy(values).reshape(parameter.shape)
        unset = set(parameters) - {theirs for _, theirs in names(case)} - {"embeddings.token_type_embeddings.weight"}
        assert not unset, unset
        if case["family"] == "bert":
            # Ours is folded into the position embedding.
            parameters["embeddings.token_type_embeddings.weight"].data.zero_()
        lines = examples(case)
        total = weights = 0.0
        for line in lines:
            hidden = model(input_ids=torch.tensor([line["ids"]])).last_hidden_state
            risk, tag = model.heads(hidden[0, 0])
            loss, weight = loss_of(risk, tag, line, OPTIONS["label_smoothing"])
            total, weights = total + loss, weights + weight
        loss = total / weights
        loss.backward()
        gradients = {}
        for ours, theirs in names(case):
            gradient = parameters[theirs].grad.reshape(-1).numpy()
            count = min(64, gradient.size)
            indexes = [i * gradient.size // count for i in range(count)]
            if ours.endswith("word_embeddings.weight"):
                # Samples from rows of words that occur; the others are zero.
                rows = sorted({word for line in lines for word in line["ids"]})
                indexes = [rows[i * len(rows) // count] * case["hidden"] + i % case["hidden"] for i in range(count)]
            gradients[ours] = {
                "norm": float(f"{numpy.linalg.norm(gradient):.8e}"),
                "sum": float(f"{gradient.sum():.8e}"),
                "samples": [[i, float(f"{gradient[i]:.6e}")] for i in indexes],
            }
        record = {
            "made_by": f"tests/reference/gradients.py, torch {torch.__version__}, transformers {transformers.__version__}",
            **case, **OPTIONS, "class_weights": CLASS_WEIGHTS, "lines": lines, "loss": loss.item(),
            "gradients": gradients,
        }
        (folder / f"{name}.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
        print(name, loss.item())


if __name__ == "__main__":
    main()
