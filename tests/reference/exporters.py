"""Writes classifiers as PyTorch's exporters do, and what PyTorch computes with them: crates/score/tests/onnx/.

    pip install torch transformers onnx onnxscript
    python tests/reference/exporters.py FOLDER [SUFFIX]

The encoders are random and tiny. `seed` is the first seed's model: BERT, [CLS], linear, ReLU, linear. The two exporters
of PyTorch (`legacy` traces, `dynamo` captures) and the two ways to compute attention take it apart differently, and so do
versions of transformers: SUFFIX names the one at hand. All of them are read when this is run for all; a few are stored.
"""

import json
import sys
from pathlib import Path

import onnx
import torch
import transformers
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertForSequenceClassification

VOCABULARY, HIDDEN, LAYERS, HEADS, INNER, POSITIONS, RISKS = 40, 16, 2, 2, 24, 20, 11
LINES = [[2, 5, 3], [2, 17, 39, 8, 8, 1, 3], [2] + list(range(4, 21)) + [3], [2, 3]]


class Seed(torch.nn.Module):
    def __init__(self, attention: str, activation: str):
        super().__init__()
        self.bert = BertModel(BertConfig(
            vocab_size=VOCABULARY, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
            intermediate_size=INNER, max_position_embeddings=POSITIONS, attn_implementation=attention,
            hidden_act=activation,
        ))
        self.classifier = torch.nn.Sequential(
            torch.nn.Dropout(0.1), torch.nn.Linear(HIDDEN, HIDDEN // 2), torch.nn.ReLU(), torch.nn.Dropout(0.1),
            torch.nn.Linear(HIDDEN // 2, RISKS),
        )

    def forward(self, input_ids, attention_mask):
        return self.classifier(self.bert(input_ids, attention_mask).last_hidden_state[:, 0, :])


class Distil(torch.nn.Module):
    def __init__(self, attention: str, activation: str):
        super().__init__()
        self.model = DistilBertForSequenceClassification(DistilBertConfig(
            vocab_size=VOCABULARY, dim=HIDDEN, n_layers=LAYERS, n_heads=HEADS, hidden_dim=INNER,
            max_position_embeddings=POSITIONS, num_labels=RISKS, attn_implementation=attention, activation=activation,
        ))

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids, attention_mask).logits


def spread(model: torch.nn.Module) -> torch.nn.Module:
    """Weights far enough from 0 and from each other that a mix-up of any two shows."""
    torch.manual_seed(7)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if "norm.weight" in name.lower() else 0.0, 0.25)
    return model.eval()


def export(model: torch.nn.Module, path: Path, exporter: str) -> None:
    ids = torch.tensor([LINES[1], LINES[1][::-1]])
    inputs, names = (ids, torch.ones_like(ids)), ["input_ids", "attention_mask"]
    if exporter == "dynamo":
        sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=POSITIONS)}
        torch.onnx.export(
            model, inputs, str(path), input_names=names, output_names=["logits"], dynamo=True,
            dynamic_shapes={name: sizes for name in names}, verbose=False,
        )
    else:
        # As the first seed exports: only the batch is dynamic there.
        axes = {name: {0: "batch_size"} for name in [*names, "logits"]}
        torch.onnx.export(
            model, inputs, str(path), input_names=names, output_names=["logits"], dynamic_axes=axes,
            opset_version=int(exporter.removeprefix("legacy")), do_constant_folding=True, dynamo=False,
        )
    # Where in whose source a node comes from takes more room than the model.
    written = onnx.load(str(path), load_external_data=False)
    for node in written.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del written.graph.value_info[:]
    path.write_bytes(written.SerializeToString())


@torch.no_grad()
def main(folder: str, suffix: str = "") -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for kind, make in (("seed", Seed), ("distilbert", Distil)):
        for attention in ("eager", "sdpa"):
            for exporter in ("legacy14", "legacy17", "dynamo"):
                for activation in ("gelu",) if attention == "sdpa" or kind == "distilbert" else ("gelu", "gelu_new", "relu"):
                    model = spread(make(attention, activation))
                    name = "-".join(part for part in (kind, exporter, attention, activation, suffix) if part)
                    export(model, Path(folder) / f"{name}.onnx", exporter)
                    lines = []
                    for line in LINES:
                        ids = torch.tensor([line])
                        logits = model(ids, torch.ones_like(ids))[0].tolist()
                        lines.append({"ids": line, "logits": [float(f"{logit:.8g}") for logit in logits]})
                    record = {"made_by": f"torch {torch.__version__}, transformers {transformers.__version__}", "lines": lines}
                    (Path(folder) / f"{name}.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
