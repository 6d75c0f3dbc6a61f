"""The calibration that SciPy finds for the logits and risks of `the_fit_is_that_of_scipy` (crates/train/src/calibrate/fit.rs).

    python3 tests/reference/calibration.py

prints temperature and biases. Needs numpy and scipy.
"""

import numpy
from scipy.optimize import minimize

PENALTY = 0.01

lines = numpy.arange(400)
centers = (lines % 41) / 4
risks = numpy.arange(11)
logits = (-((risks[None, :] - centers[:, None]) ** 2) / 2).astype(numpy.float32).astype(float)
noise = (lines * 7 % 13) / 3 - 2
truths = numpy.clip(numpy.floor(centers + noise + 0.5), 0, 10).astype(int)


def loss(numbers):
    slope, bias = numbers[0], numbers[1:]
    scores = slope * logits + bias
    scores = scores - scores.max(1, keepdims=True)
    likelihood = scores[lines, truths] - numpy.log(numpy.exp(scores).sum(1))
    return -likelihood.mean() + PENALTY / 2 * ((slope - 1) ** 2 + (bias**2).sum())


found = minimize(loss, numpy.r_[1, numpy.zeros(11)], method="BFGS", options={"gtol": 1e-8}).x
print(f"{1 / found[0]:.6f}", *(f"{value:.6f}" for value in found[1:]), sep=", ")
