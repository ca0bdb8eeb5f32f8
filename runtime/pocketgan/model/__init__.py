"""Model files: finding, reading and checking them, and opening onnxruntime sessions."""
