"""The least that must be done to draw ten digits into ten files: the yardstick of scripts/bench_start.py."""

import sys

import numpy as np
import onnxruntime
from PIL import Image

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
latents = np.random.Generator(np.random.Philox(0)).normal(size=(10, int(sys.argv[2]))).astype(np.float32)
for number, image in enumerate(session.run(["images"], {"z": latents, "label": np.arange(10)})[0]):
    Image.fromarray(image).save(f"{sys.argv[3]}/{number}.png")
