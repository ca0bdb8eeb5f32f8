"""docs/http.md: what it says is run as it stands there; a stand-in computes what the description for Triton says."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

import pocketgan_models
from pocketgan import Generator

PAGE = (Path(__file__).parents[1] / "docs" / "http.md").read_text()
SERVER, CLIENT = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
(DESCRIPTION,) = re.findall(r'^name: "pocket".*?(?=^```)', PAGE, flags=re.DOTALL | re.MULTILINE)
MODEL = pocketgan_models.path("pocket")
TYPES = {"TYPE_FP32": ("FP32", np.float32), "TYPE_INT64": ("INT64", np.int64), "TYPE_UINT8": ("UINT8", np.uint8)}


def tensors(kind: str) -> dict[str, tuple[str, list[int], bool]]:
    """Return the type of each input or output that the description names, its shape without the batch, and if it is dropped."""
    (entries,) = re.findall(rf"^{kind} \[(.*?\}})\s*\]$", DESCRIPTION, flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r'name: "(\w+)", data_type: (\w+), dims: \[ ([\d, ]+) \](, reshape: \{ shape: \[ \] \})? \}', entries)
    return {name: (data_type, [int(size) for size in dims.split(",")], bool(reshape)) for name, data_type, dims, reshape in found}


@pytest.fixture
def fastapi(tmp_path: Path) -> Iterator[str]:
    """Yield the address of the server in FastAPI."""
    (tmp_path / "server.py").write_text(SERVER)
    command = [sys.executable, "-m", "uvicorn", "server:app", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        while not (address := re.search(r"http://[\d.]+:\d+", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        yield address[0]
        process.terminate()


def test_fastapi_serves_the_images_of_an_address_and_refuses_others(fastapi: str) -> None:
    with urlopen(f"{fastapi}/7.png?seed=5&index=2&slant=12") as answer:
        assert answer.headers["content-type"] == "image/png"
        image = np.asarray(Image.open(BytesIO(answer.read())))
    np.testing.assert_array_equal(image, Generator.load("pocket").generate(1, 7, 5, 2, slant=12)[0])
    for path, reason in (("x.png", "class"), ("7.png?slant=80", "out of range"), ("7.png?seed=-1", "seed")):
        with pytest.raises(HTTPError) as refused, urlopen(f"{fastapi}/{path}"):
            pass
        assert refused.value.code == 422
        assert reason in json.load(refused.value)["detail"]


def test_the_description_for_triton_is_that_of_the_file() -> None:
    graph = onnx.load(MODEL).graph
    for kind, values in (("input", graph.input), ("output", graph.output)):
        described = tensors(kind)
        assert list(described) == [value.name for value in values]
        for value, (data_type, shape, is_dropped) in zip(values, described.values(), strict=True):
            tensor = value.type.tensor_type
            assert onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type) == TYPES[data_type][1]
            batch, *sizes = tensor.shape.dim
            assert (batch.dim_param, [size.dim_value for size in sizes]) == ("N", [] if is_dropped else shape)


class StandIn(BaseHTTPRequestHandler):
    """Answers one request of the Open Inference Protocol, version 2, as the description says."""

    def do_POST(self) -> None:
        assert self.path == "/v2/models/pocket/infer"
        feeds: dict[str, NDArray[Any]] = {}
        for given in json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]:
            data_type, dims, is_dropped = tensors("input")[given["name"]]
            batch, *sizes = given["shape"]
            assert (given["datatype"], sizes) == (TYPES[data_type][0], dims)
            values = np.array(given["data"], TYPES[data_type][1])
            feeds[given["name"]] = values.reshape([batch] if is_dropped else [batch, *dims])
        (images,) = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"]).run(None, feeds)
        answer = {"name": "images", "datatype": "UINT8", "shape": images.shape, "data": images.ravel().tolist()}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"outputs": [answer]}).encode())

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def triton() -> Iterator[str]:
    """Yield the address of a stand-in for Triton."""
    with HTTPServer(("127.0.0.1", 0), StandIn) as server:
        Thread(target=server.handle_request, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"


def test_the_client_of_triton_gets_the_images_of_gan_gen(triton: str) -> None:
    found: dict[str, Any] = {}
    exec(compile(CLIENT.replace("http://localhost:8000", triton), "client.py", "exec"), found)
    np.testing.assert_array_equal(found["images"], Generator.load("pocket").generate(10))
