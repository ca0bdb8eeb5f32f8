"""Compare the int8 file of gan-export with what other quantizers make of the same generator. Needs [cpu,train].

    python scripts/compare_exports.py CHECKPOINT

Prints two Markdown tables and the operators in each file. "3 by 2" means that 3 of 1,000 images differ, by at most 2 grey levels.
Some forms need onnxscript, torchao, openvino or nncf: without them their rows say "not installed". All are calibrated on the
latents that gan-export calibrates on, and timed in turn in short rounds, in one process, on one thread.
"""

import argparse
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from torch import Tensor, nn
from torch.export import ExportedProgram

from pocketgan.cpus import read_cpu
from pocketgan_trainer.export.calibration import CALIBRATION_IMAGES, CALIBRATION_SEED
from pocketgan_trainer.export.comparison import SPEED_BATCH, OneBatch, naive_int8, side_by_side
from pocketgan_trainer.export.exporter import build_graph, export
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import class_count, labels_in_turn, model_inputs
from pocketgan_trainer.export.verify import PARITY_IMAGES, PARITY_SEED, count_kernels, measure_parity, optimized
from pocketgan_trainer.export.weights import largest_neighbour_sum
from pocketgan_trainer.training.checkpoint import Checkpoint, load_checkpoint, restore_generator
from pocketgan_trainer.training.drawing import draw
from pocketgan_trainer.training.presets import latent_size

_DEFAULT = "ORT_ENABLE_ALL"
_LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED")
# The layers with weights, as onnxruntime and OpenVINO call them.
_WEIGHTED = {"Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "Convolution", "Deconvolution", "FullyConnected"}
_NOT_COMPUTING = {"Constant", "Parameter", "Result", "Const", "Input", "Output"}

Inputs = Mapping[str, NDArray[np.generic]]
Draw = Callable[[Inputs], NDArray[Any]]
"""Returns grey levels uint8 [N, H, W], or a generator's own float32 [N, 1, H, W] from -1 to 1."""


@dataclass(frozen=True)
class Form:
    """A generator as one file, or two."""

    size_bytes: int
    operators: Counter[str]
    kernels: tuple[int, int, int, int | str]
    """As run on this CPU: kernels in integers, kernels with weights in floating point, others in floating point, and the largest
    sum of two neighbouring weights, see export/weights.py."""
    open: Callable[[int, str], Draw]
    """Opens it for a number of threads, at a level of optimization of onnxruntime."""


def forms(checkpoint: Checkpoint, folder: Path) -> Iterator[tuple[str, Form | None]]:
    """Yield each form and its name, float32 first; None if a package is not installed. Files are written to `folder`."""
    generator, size = restore_generator(checkpoint), latent_size(checkpoint.config)
    layers = fold(generator)
    float_model = build_graph(layers, size, "fp32")
    sample = model_inputs(size, class_count(layers), CALIBRATION_SEED, CALIBRATION_IMAGES)
    yield "gan-export, float32", onnx_form(float_model.SerializeToString())
    export(checkpoint, folder / "own.onnx", "int8")
    yield "gan-export, int8", onnx_form((folder / "own.onnx").read_bytes())
    yield "quantize_static, defaults", onnx_form(naive_int8(float_model, sample))
    by_channel = partial(_quantized, float_model, sample, folder, activation_type=QuantType.QUInt8, per_channel=True)
    yield "quantize_static, QDQ, 8 bits", onnx_form(by_channel(QuantFormat.QDQ))
    yield "quantize_static, QDQ, 7 bits", onnx_form(by_channel(QuantFormat.QDQ, reduce_range=True))
    in_operators = partial(by_channel, QuantFormat.QOperator, reduce_range=True)
    yield "quantize_static, QOperator, 7 bits", onnx_form(in_operators())
    yield "the same, layers only", onnx_form(in_operators(op_types_to_quantize=["Conv", "Gemm"]))
    tensors = tuple(torch.from_numpy(values.copy()) for values in sample.values())
    missing = {package for package in ("onnxscript", "torchao", "openvino", "nncf") if find_spec(package) is None}
    yield "torch, float32", None if "onnxscript" in missing else onnx_form(_dynamo(generator, tensors))
    has_pt2e, has_nncf = not missing & {"onnxscript", "torchao"}, not missing & {"openvino", "nncf"}
    for bits in (8, 7):
        yield f"torch PT2E, {bits} bits", onnx_form(_dynamo(_pt2e(generator, tensors, bits), tensors)) if has_pt2e else None
        yield f"OpenVINO, {bits} bits", _openvino_form(float_model, folder / f"{bits}.xml", sample, bits) if has_nncf else None
    yield "OpenVINO, float32", None if "openvino" in missing else _openvino_form(float_model, folder / "float.xml")


def _quantized(model: onnx.ModelProto, sample: Inputs, folder: Path, form: QuantFormat, **options: object) -> bytes:
    """Return what quantize_static makes of a float model with its `options`."""
    source, target = folder / "float.onnx", folder / "quantized.onnx"
    onnx.save(model, source)
    quantize_static(source, target, OneBatch(sample), quant_format=form, **options)
    return target.read_bytes()


def _exported(generator: nn.Module, sample: tuple[Tensor, ...]) -> ExportedProgram:
    return torch.export.export(generator, sample, dynamic_shapes=tuple({0: torch.export.Dim("N")} for _ in sample))


def _dynamo(generator: nn.Module, sample: tuple[Tensor, ...]) -> bytes:
    """Return the ONNX file that torch.onnx.export makes of a generator by way of torch.export."""
    names = ["z", "label"][: len(sample)]
    program = torch.onnx.export(_exported(generator, sample), input_names=names, output_names=["images"], verbose=False)
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def _pt2e(generator: nn.Module, sample: tuple[Tensor, ...], bits: int) -> nn.Module:
    """Return a generator quantized by torchao's PT2E with its quantizer for x86."""
    pt2e = import_module("torchao.quantization.pt2e.quantize_pt2e")
    x86 = import_module("torchao.quantization.pt2e.quantizer.x86_inductor_quantizer")
    config = x86.get_default_x86_inductor_quantization_config(reduce_range=bits == 7)
    prepared = pt2e.prepare_pt2e(_exported(generator, sample).module(), x86.X86InductorQuantizer().set_global(config))
    with torch.no_grad():
        prepared(*sample)
    converted: nn.Module = pt2e.convert_pt2e(prepared)
    return converted


def onnx_form(contents: bytes) -> Form:
    """Return the form of an ONNX file that onnxruntime runs."""
    facts = count_kernels(as_run := optimized(contents))
    in_float = [operator for operator in facts.floating_point if not operator.startswith("QLinear")]  # of QOperator files
    weighted = sum(operator in _WEIGHTED for operator in in_float)
    integer = facts.integer + len(facts.floating_point) - len(in_float)
    operators = Counter(node.op_type for node in onnx.load_from_string(contents).graph.node)
    kernels = (integer, weighted, len(in_float) - weighted, _largest_neighbours(as_run))
    return Form(len(contents), operators, kernels, partial(_open, contents))


def _largest_neighbours(model: onnx.ModelProto) -> int | str:
    """Return the largest sum of two neighbouring int8 weights in the integer kernels of an optimized model."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    largest = []
    for node in model.graph.node:
        if node.op_type in ("QLinearConv", "QGemm"):
            weights = tensors[node.input[3]]
            assert weights.dtype == np.int8
            is_transposed = node.op_type == "QGemm" and not any(each.name == "transB" and each.i for each in node.attribute)
            largest.append(largest_neighbour_sum((weights.T if is_transposed else weights).astype(np.int8)))
    return max(largest, default="")


def _open(contents: bytes, threads: int, level: str) -> Draw:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(["images"], dict(inputs))[0]


def _openvino_form(float_model: onnx.ModelProto, target: Path, sample: Inputs | None = None, bits: int = 8) -> Form:
    """Return the form that OpenVINO runs, written to `target`, quantized by NNCF if there is a sample to calibrate on."""
    openvino, core = import_module("openvino"), import_module("openvino").Core()
    model = core.read_model(float_model.SerializeToString(), b"")
    if sample is not None:
        nncf = import_module("nncf")
        images = [{name: values[[position]] for name, values in sample.items()} for position in range(CALIBRATION_IMAGES)]
        options = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE) if bits == 7 else None
        with redirect_stdout(sys.stderr):  # for progress bars
            model = nncf.quantize(model, nncf.Dataset(images), subset_size=len(images), advanced_parameters=options)
    openvino.save_model(model, target)
    model = core.read_model(target)

    def open_model(threads: int, level: str) -> Draw:
        compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads})
        return lambda inputs: compiled(dict(inputs))["images"]

    nodes = core.compile_model(model, "CPU").get_runtime_model().get_ops()
    keys = ("layerType", "primitiveType", "runtimePrecision")
    run = [[node.get_rt_info()[key].astype(str) for key in keys] for node in nodes]
    in_float = [kind for kind, primitive, precision in run if "f32" in primitive + precision and kind not in _NOT_COMPUTING]
    weighted = sum(kind in _WEIGHTED for kind in in_float)
    integer = sum(kind in _WEIGHTED for kind, *_ in run) - weighted
    size = sum(file.stat().st_size for file in (target, target.with_suffix(".bin")))
    operators = Counter(node.get_type_name() for node in model.get_ops() if node.get_type_name() not in _NOT_COMPUTING)
    return Form(size, operators, (integer, weighted, len(in_float) - weighted, "not known"), open_model)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="best.safetensors of a run without a canvas")
    checkpoint = load_checkpoint(parser.parse_args().checkpoint)
    if checkpoint.config.canvas:
        parser.error("a generator with a canvas ends in a scan, which this script does not compare")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        report(checkpoint, dict(forms(checkpoint, Path(folder))))


def report(checkpoint: Checkpoint, found: Mapping[str, Form | None]) -> None:
    """Print what was measured of forms by name, of which the first is the one that others are compared with."""
    installed = {name: form for name, form in found.items() if form is not None}
    generator, size = restore_generator(checkpoint), latent_size(checkpoint.config)
    classes = class_count(fold(generator))
    inputs = model_inputs(size, classes, PARITY_SEED, PARITY_IMAGES)
    reference = draw(generator, size, PARITY_SEED, 0, PARITY_IMAGES, labels_in_turn(classes, PARITY_IMAGES))
    batch = {name: values[:SPEED_BATCH] for name, values in inputs.items()}
    timed = side_by_side([partial(form.open(1, _DEFAULT), batch) for form in installed.values()], rounds=15)
    print(f"{checkpoint.config.preset}; {read_cpu()}; onnxruntime {onnxruntime.__version__}, torch {torch.__version__}\n")
    print("| form | bytes | nodes | integer kernels | float layers | other float kernels | largest neighbours |\n|" + "---|" * 7)
    for name, form in found.items():
        cells = ["not installed"] if form is None else [f"{form.size_bytes:,}", form.operators.total(), *form.kernels]
        print(f"| {name} | {' | '.join(map(str, cells))} |")
    print("\n| form | PSNR, dB | speed | batch 1 | two threads | optimization off | basic | extended |\n|" + "---|" * 8)
    for position, (name, form) in enumerate(installed.items()):
        images = _images(form, inputs)
        ratios = [seconds[0] / seconds[position] for seconds in timed]
        others = [_images(form, inputs, batch=1), _images(form, inputs, threads=2)]
        others += [] if name.startswith("OpenVINO") else [_images(form, inputs, level=level) for level in _LEVELS]
        speed = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        cells = [f"{measure_parity(images, reference).psnr_db:.1f}", speed, *(_difference(images, other) for other in others)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for name, form in installed.items():
        print(f"- {name}: {', '.join(f'{operator} {count}' for operator, count in form.operators.most_common())}")


def _images(form: Form, inputs: Inputs, batch: int = SPEED_BATCH, threads: int = 1, level: str = _DEFAULT) -> NDArray[np.uint8]:
    run, drawn = form.open(threads, level), []
    for start in range(0, PARITY_IMAGES, batch):
        images = run({name: values[start : start + batch] for name, values in inputs.items()})
        drawn.append(images if images.dtype == np.uint8 else np.rint((images[:, 0] + 1) * 127.5).clip(0, 255).astype(np.uint8))
    return np.concatenate(drawn)


def _difference(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> str:
    levels = np.abs(images.astype(np.int64) - others).max(axis=(1, 2))
    return f"{np.count_nonzero(levels)} by {levels.max()}" if levels.any() else "same"


if __name__ == "__main__":
    main()
