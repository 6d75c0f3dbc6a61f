"""The first seed's server as a rival: FastAPI, ONNX Runtime, every line padded to 128 tokens, no cache.

    python benches/rivals/fastapi_server.py --model model.onnx --tokenizer tokenizer/tokenizer.json --port 8001 [--threads 2]

It keeps what decides the seed's speed: `async def` handlers that call the model directly, one worker, one session whose
threads all work on one request, seven `re.sub` masks before. The tokeniser is the fast one, which is kinder to it than the
seed's own. Needs fastapi, uvicorn, onnxruntime, tokenizers.
"""

import argparse
import re

import numpy as np
import uvicorn
from fastapi import FastAPI
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions
from pydantic import BaseModel
from tokenizers import Tokenizer

MASKS = [
    (re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?"), "<TIME>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<UUID>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<IP>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<HEX>"),
    (re.compile(r"\b[0-9a-f]{12,}\b"), "<ID>"),
    (re.compile(r"(?:/[\w.-]+){2,}"), "<PATH>"),
    (re.compile(r"\b\d+\b"), "<NUM>"),
]
LEVELS = ["trace", "debug", "info", "notice", "warning", "warning", "error", "error", "critical", "critical", "emergency"]


class Line(BaseModel):
    log: str
    preprocess: bool = True


class Lines(BaseModel):
    logs: list[str]
    preprocess: bool = True


class Risk(BaseModel):
    risk_label: int
    risk_score: float
    level: str


class Risks(BaseModel):
    results: list[Risk]
    count: int


def masked(text: str) -> str:
    for pattern, name in MASKS:
        text = pattern.sub(name, text)
    return text


def server(model: str, tokenizer: str, threads: int) -> FastAPI:
    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads
    session = InferenceSession(model, options, providers=["CPUExecutionProvider"])
    tokens = Tokenizer.from_file(tokenizer)
    tokens.enable_truncation(128)
    tokens.enable_padding(length=128)
    risk_output = session.get_outputs()[0].name

    def predict(texts: list[str]) -> list[Risk]:
        encoded = tokens.encode_batch(texts)
        logits = session.run([risk_output], {
            "input_ids": np.array([line.ids for line in encoded], dtype=np.int64),
            "attention_mask": np.array([line.attention_mask for line in encoded], dtype=np.int64),
        })[0]
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares = powers / powers.sum(axis=-1, keepdims=True)
        scores = shares @ np.arange(11)
        return [
            Risk(risk_label=int(label), risk_score=round(float(score), 3), level=LEVELS[int(label)])
            for label, score in zip(shares.argmax(axis=-1), scores)
        ]

    app = FastAPI()

    @app.get("/health")
    async def health() -> dict:
        return {"status": "healthy", "model_loaded": True}

    @app.post("/predict", response_model=Risk)
    async def predict_one(request: Line):
        return predict([masked(request.log) if request.preprocess else request.log])[0]

    @app.post("/predict/batch", response_model=Risks)
    async def predict_many(request: Lines):
        results = predict([masked(log) if request.preprocess else log for log in request.logs])
        return Risks(results=results, count=len(results))

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    app = server(arguments.model, arguments.tokenizer, arguments.threads)
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)
