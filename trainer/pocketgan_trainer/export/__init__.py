"""From a trained generator to one verified ONNX file."""
