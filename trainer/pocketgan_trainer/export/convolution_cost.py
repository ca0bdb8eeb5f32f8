"""What an integer convolution costs in onnxruntime, as far as choosing between ways to write it needs to know.

Where channels come last, onnxruntime copies each place's surroundings together, one copy for each row of the kernel, and then
multiplies matrices, 16 outputs at a time. Source: onnxruntime, qlinearconv.cc in core/providers/cpu/quantization, and core/mlas.
"""

_OUTPUTS_AT_A_TIME = 16
# So many multiply-adds take about the time of one copy, and of calling one kernel: on a Zen 5 with AVX512-VNNI, measured on
# pocket's and nano's layers, and on transposed convolutions of some sizes.
_COPY = 1500
_CALL = 400_000


def convolution_cost(places: int, outputs: int, inputs: int, kernel_rows: int, kernel_columns: int) -> int:
    """Return about what a convolution costs for one image, in multiply-adds, whose kernel is put down at so many `places`.

    `outputs` and `inputs` are channels.
    """
    products = inputs * kernel_rows * kernel_columns
    multiplied = -(-outputs // _OUTPUTS_AT_A_TIME) * _OUTPUTS_AT_A_TIME * products
    # A kernel of one place needs no surroundings.
    copied = 0 if kernel_rows == kernel_columns == 1 else kernel_rows * _COPY
    return _CALL + places * (multiplied + copied)
