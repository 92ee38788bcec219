"""Runs an ONNX file in ONNX Runtime on raw images: run.py MODEL IMAGES BATCHES OUT

Checks the file's form and feeds it IMAGES (raw numbers of the input's type) once
for each of BATCHES ("1,7"), so many at a time. Writes the probabilities (raw
float32) of one batch size after another to OUT and, as JSON on standard output,
what the file says of itself."""
import json, sys
import numpy as np, onnx, onnxruntime

model, images, batches, out = sys.argv[1:]
onnx.checker.check_model(model, full_check=True)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
(given,), (result,) = session.get_inputs(), session.get_outputs()
kind = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}[given.type]
x = np.fromfile(images, dtype=kind).reshape(-1, *given.shape[1:])
parts = [
    session.run([result.name], {given.name: x[i : i + step]})[0]
    for step in map(int, batches.split(","))
    for i in range(0, len(x), step)
]
np.concatenate(parts).astype(np.float32).tofile(out)
json.dump({
    "input": given.name, "type": given.type, "shape": given.shape, "output": result.name, "output_shape": result.shape,
    "opset": onnx.load(model).opset_import[0].version, "metadata": session.get_modelmeta().custom_metadata_map,
}, sys.stdout)
