"""The training side of pocketgan: data, networks, training, export."""

import pocketgan as pocketgan  # first of all: it switches off onnxruntime's telemetry
