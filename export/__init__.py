"""torch -> ONNX: the five graphs of a bundle, with their manifest and parity figures."""
