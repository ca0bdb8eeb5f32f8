"""onnxruntime sessions that are timed beside each other."""

import onnxruntime


def cpu_session(contents: bytes, threads: int) -> onnxruntime.InferenceSession:
    """Return a session of a file on the CPU with so many threads, which do not keep it busy while something else is timed."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
