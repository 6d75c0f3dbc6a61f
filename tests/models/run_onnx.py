"""Checks an ONNX file and runs it: reads {"lines": [[id, …], …]} and prints the outputs, one object a batch.

    PYTHONPATH="$(tests/models/onnxruntime.sh)" python3 tests/models/run_onnx.py model.onnx < lines.json

All lines are one batch, padded with id 0 to the longest; then again padded to 128, as the first seed's predictor does, if
the model has as many positions; then each line alone.
"""

import json
import sys

import numpy
import onnx
import onnxruntime


def padded(lines, length):
    ids = numpy.zeros((len(lines), length), numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, line in enumerate(lines):
        ids[row, : len(line)] = line
        mask[row, : len(line)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def main(path):
    onnx.checker.check_model(path, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True, check_type=True)
    assert all(output.type.tensor_type.shape.dim for output in inferred.graph.output)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["input_ids", "attention_mask"]
    assert session.get_outputs()[0].name == "logits"
    lines = json.load(sys.stdin)["lines"]
    positions = next(each for each in onnx.load(path).graph.initializer if "position" in each.name).dims[0]
    batches = [padded(lines, max(map(len, lines)))]
    if positions >= 128:
        batches.append(padded(lines, 128))
    run = lambda batch: dict(zip([each.name for each in session.get_outputs()], session.run(None, batch)))
    for batch in batches:
        print(json.dumps({name: values.tolist() for name, values in run(batch).items()}))
    singles = [run(padded([line], len(line))) for line in lines]
    print(json.dumps({name: [each[name][0].tolist() for each in singles] for name in singles[0]}))


main(sys.argv[1])
