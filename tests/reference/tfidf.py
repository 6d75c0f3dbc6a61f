"""Writes tfidf.json: what scikit-learn answers where TF-IDF is the baseline.

    python3 tests/reference/tfidf.py        needs scikit-learn and numpy

The words are the vectoriser's of `logrisk evaluate`: mask classes and runs of letters, digits and `_`.
"""
import json, pathlib
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

STEMS = [
    ("request served in <sec> status=<2xx>", 2), ("cache hit for key <hex>", 1), ("entering function <name>", 0),
    ("leader elected at term <num>", 3), ("retry <n/n> succeeded", 4), ("slow query took <sec>", 5),
    ("connection refused by <ip>", 6), ("upstream timed out", 7), ("disk <path> is at <high%>, out of space", 8),
    ("file system corruption on <dev>", 9), ("kernel panic - not syncing", 10),
]
FRAMES = ["{}", "worker: {}", "{} again", "<dev>: {} {}", "Über {}"]
QUERIES = ["cache hit", "kernel panic again", "worker: upstream timed out", "never seen words", "", "served <2xx> <2xx>",
           "disk is corrupt: file system <high%>"]

texts = [frame.format(*[stem] * frame.count("{}")) for stem, _ in STEMS for frame in FRAMES]
risks = [risk for _, risk in STEMS for _ in FRAMES]
vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"<[^<>\s]+>|\w+")
rows = vectorizer.fit_transform(texts)
queries = vectorizer.transform(QUERIES)
logistic = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit(rows, risks)
mean = np.mean(risks)
ridge = Ridge(alpha=1.0, fit_intercept=False, tol=1e-10, solver="sparse_cg").fit(rows, np.array(risks) - mean)
reference = {
    "texts": texts,
    "risks": risks,
    "queries": QUERIES,
    "probabilities": logistic.predict_proba(queries).round(6).tolist(),
    "ridge": (ridge.predict(queries) + mean).round(6).tolist(),
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(reference, ensure_ascii=False, indent=1) + "\n")
