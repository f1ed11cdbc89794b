"""What an export can be asked for, by name. Imports nothing: the command line's help and a robot that builds engines need no torch."""

PRECISIONS = ("fp32", "fp16", "int8")
TARGETS = ("onnx", "openvino", "tensorrt", "tensorrt-rtx")
# How a bundle stores its weights (storage.py), by name. A precision brings its own: what it computes with, stored.
STORAGE = {
    "fp32": {"text": "fp32", "vision": "fp32"},
    "compact": {"text": "int8", "vision": "fp16"},
    "halves": {"text": "fp16", "vision": "fp16"},
}
STORAGE_OF = {"fp32": "fp32", "fp16": "halves", "int8": "halves"}
VIEWS = 16  # frames of the parity gate, and as many again to calibrate int8
QUESTIONS = 4  # of the gate on each of its frames
