"""Writes what PyTorch computes for encoders of three shapes: crates/score/tests/encoder/*.json.

    python tests/reference/encoder.py        (needs torch, transformers, numpy)

Weights are not stored: SplitMix64 fills them here as `logrisk_score::weights::fill_uniform` does in the test, tensor by
tensor in the order of `Weights::tensors`, seeded with the tensor's index.
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

FOLDER = Path(__file__).parents[2] / "crates/score/tests/encoder"
MATRIX_LIMIT, VECTOR_LIMIT = 0.08, 0.3
VOCABULARY, POSITIONS, RISKS, TAGS = 1000, 128, 11, 5
LENGTHS = [1, 7, 13, 50, 64, 128]


def fill_uniform(count: int, limit: float, seed: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        state = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    unit = (z >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    return (unit * np.float32(2) - np.float32(1)) * np.float32(limit)


class Filler:
    """Hands out tensors in the order of `Weights::tensors`."""

    def __init__(self):
        self.index = 0

    def __call__(self, *shape: int, gain: bool = False) -> torch.Tensor:
        limit = MATRIX_LIMIT if len(shape) == 2 else VECTOR_LIMIT
        values = fill_uniform(int(np.prod(shape)), limit, self.index)
        self.index += 1
        return torch.from_numpy(values + np.float32(1) if gain else values).reshape(shape)


def linear(fill: Filler, module: torch.nn.Linear) -> None:
    module.weight.copy_(fill(*module.weight.shape))
    module.bias.copy_(fill(*module.bias.shape))


def norm(fill: Filler, module: torch.nn.LayerNorm) -> None:
    module.weight.copy_(fill(*module.weight.shape, gain=True))
    module.bias.copy_(fill(*module.bias.shape))


def bert(hidden: int, heads: int, layers: int, activation: str):
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * hidden, max_position_embeddings=POSITIONS, hidden_act=activation,
    )
    model, fill = BertModel(config, add_pooling_layer=False), Filler()
    model.embeddings.word_embeddings.weight.copy_(fill(VOCABULARY, hidden))
    model.embeddings.position_embeddings.weight.copy_(fill(POSITIONS, hidden))
    model.embeddings.token_type_embeddings.weight.zero_()
    norm(fill, model.embeddings.LayerNorm)
    for layer in model.encoder.layer:
        for part in (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value):
            linear(fill, part)
        linear(fill, layer.attention.output.dense)
        norm(fill, layer.attention.output.LayerNorm)
        linear(fill, layer.intermediate.dense)
        linear(fill, layer.output.dense)
        norm(fill, layer.output.LayerNorm)
    return model, fill


def distilbert(hidden: int, heads: int, layers: int, activation: str):
    config = DistilBertConfig(
        vocab_size=VOCABULARY, dim=hidden, n_layers=layers, n_heads=heads, hidden_dim=4 * hidden,
        max_position_embeddings=POSITIONS, activation=activation,
    )
    model, fill = DistilBertModel(config), Filler()
    model.embeddings.word_embeddings.weight.copy_(fill(VOCABULARY, hidden))
    model.embeddings.position_embeddings.weight.copy_(fill(POSITIONS, hidden))
    norm(fill, model.embeddings.LayerNorm)
    for layer in model.transformer.layer:
        for part in (layer.attention.q_lin, layer.attention.k_lin, layer.attention.v_lin, layer.attention.out_lin):
            linear(fill, part)
        norm(fill, layer.sa_layer_norm)
        linear(fill, layer.ffn.lin1)
        linear(fill, layer.ffn.lin2)
        norm(fill, layer.output_layer_norm)
    return model, fill


@torch.no_grad()
def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make, hidden, heads, layers, activation in [
        ("bert-mini", bert, 256, 4, 4, "gelu"),
        ("minilm-shape", bert, 384, 12, 6, "gelu_new"),
        ("distilbert", distilbert, 192, 3, 3, "gelu"),
    ]:
        model, fill = make(hidden, heads, layers, activation)
        model.eval()
        head = {}
        for part, outputs, inputs in (("dense", hidden // 2, hidden), ("risk", RISKS, hidden // 2), ("tag", TAGS, hidden // 2)):
            head[part] = (fill(outputs, inputs), fill(outputs))
        lines = []
        for number, length in enumerate(LENGTHS):
            ids = [(number * 31 + i * i * 7 + i) % VOCABULARY for i in range(length)]
            cls = model(input_ids=torch.tensor([ids])).last_hidden_state[0, 0]
            inner = torch.relu(torch.nn.functional.linear(cls, *head["dense"]))
            risk = torch.nn.functional.linear(inner, *head["risk"])
            tag = torch.nn.functional.linear(inner, *head["tag"])
            digits = lambda values: [float(f"{value:.8g}") for value in values.tolist()]
            lines.append({"length": length, "cls": digits(cls), "risk": digits(risk), "tag": digits(tag)})
        shape = {"hidden": hidden, "heads": heads, "layers": layers, "activation": activation}
        (FOLDER / f"{name}.json").write_text(json.dumps({"shape": shape, "lines": lines}) + "\n")


if __name__ == "__main__":
    main()
