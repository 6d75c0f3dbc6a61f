"""Writes random checkpoints as transformers saves them, and the [CLS] vectors that PyTorch computes with them.

    pip install torch transformers
    python tests/reference/checkpoints.py crates/score/tests/checkpoints           (tiny, stored)
    python tests/reference/checkpoints.py FOLDER "$(tests/models/minilm.sh)/vocab.txt"    (full size)
    LOGRISK_CHECKPOINTS=FOLDER cargo test --release -p logrisk-score --test checkpoints -- --nocapture

bert-mini has the names of prajjwal1/bert-mini: `bert.` before each, gamma and beta in the norms, language-model heads, and a
config.json without model_type. distilbert is a classifier of eleven classes; sharded lies in several files.
"""

import json
import sys
import time
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig, BertForPreTraining, BertModel, BertTokenizer, DistilBertConfig, DistilBertForSequenceClassification,
)

LINES = [
    "error: connection refused",
    "disk is full, pods restarting",
    "INFO nginx started",
    "kernel panic - not syncing: VFS: unable to mount root fs on unknown-block(0,0)",
    "x",
    "java.lang.OutOfMemoryError: Java heap space " + "at com.example.Worker.run(Worker.java:42) " * 12,
]
WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] error disk connection refused full info started kernel panic not java heap space at "
    "unable root pods is run nginx - : . , ( ) 0 4 2 re ##start ##ing ##s x block"
).split()


def spread(model):
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        gain = "norm.weight" in name.lower()
        torch.nn.init.normal_(parameter, 1.0 if gain else 0.0, 0.05 if parameter.numel() > 50_000 else 0.2)
    return model.eval()


@torch.no_grad()
def main(folder, vocabulary=None):
    full = vocabulary is not None
    words = Path(vocabulary).read_text().splitlines() if full else WORDS
    mini, large = ((4, 256, 4), (6, 768, 12)) if full else ((2, 16, 2), (1, 24, 3))
    bert = lambda layers, hidden, heads: BertConfig(
        vocab_size=len(words), num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads,
        intermediate_size=4 * hidden, max_position_embeddings=512 if full else 64,
    )
    layers, hidden, heads = large
    distil = DistilBertConfig(
        vocab_size=len(words), n_layers=layers, dim=hidden, n_heads=heads, hidden_dim=4 * hidden, num_labels=11,
        max_position_embeddings=512 if full else 64,
    )
    models = {
        "bert-mini": (BertForPreTraining(bert(*mini)), "bert", {}),
        "distilbert": (DistilBertForSequenceClassification(distil), "distilbert", {}),
        "sharded": (BertModel(bert(*mini)), None, {"max_shard_size": "20MB" if full else "8KB"}),
    }
    if full:
        models["bert-base"] = (BertModel(bert(12, 768, 12)), None, {})
    for name, (model, inner, options) in models.items():
        path = Path(folder) / name
        spread(model).save_pretrained(path, **options)
        (path / "generation_config.json").unlink(missing_ok=True)
        (path / "vocab.txt").write_text("".join(word + "\n" for word in words))
        if name == "bert-mini":
            tensors = load_file(path / "model.safetensors")
            old = lambda key: key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            save_file({old(key): value for key, value in tensors.items()}, path / "model.safetensors", {"format": "pt"})
            config = json.loads((path / "config.json").read_text())
            keys = "hidden_size hidden_act vocab_size num_attention_heads num_hidden_layers intermediate_size max_position_embeddings"
            (path / "config.json").write_text(json.dumps({key: config[key] for key in keys.split()}) + "\n")
        tokenizer = BertTokenizer.from_pretrained(path)
        encoder = getattr(model, inner) if inner else model
        lines = []
        began = time.perf_counter()
        for line in LINES:
            ids = tokenizer(line, truncation=True, max_length=64)["input_ids"]
            vector = encoder(input_ids=torch.tensor([ids])).last_hidden_state[0, 0].tolist()
            lines.append({"text": line, "ids": ids, "cls": [float(f"{value:.8g}") for value in vector]})
        print(name, f"{sum(p.numel() for p in encoder.parameters()) / 1e6:.1f} M parameters, {time.perf_counter() - began:.2f} s")
        record = {"made_by": f"torch {torch.__version__}, transformers {transformers.__version__}", "lines": lines}
        (path / "reference.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
