"""Reads damaged and odd NPZ, NPY and Parquet files as gan-train and gan-eval do: each must be read, or refused in one line.

    python scripts/fuzz_data.py [--count 2000] [--seed 0] [--first 0] [--keep FOLDER]

Linux only; needs the extras [cpu,train,parquet]. A separate process reads the files. Failures are: a crash, an error that is not
our own or has more than one line, more than 512 MB of additional memory, and more than half a minute. Files that failed are saved
as SEED-INDEX with their suffix. A seed and an index always give the same file. The exit code is 1 if anything failed.
"""

import argparse
import io
import multiprocessing
import random
import re
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pyarrow
from fuzz_mutations import damaged_bytes
from fuzz_worker import FAILED, MOST_MEGABYTES, REFUSED, peak_megabytes
from numpy.typing import NDArray
from PIL import Image
from pyarrow import parquet

from pocketgan.console import print_message, printable
from pocketgan.errors import PocketganError
from pocketgan_trainer.data.images import load_training_images
from pocketgan_trainer.evaluate.sources import open_source

SECONDS_FOR_A_FILE, LONGEST_LINE = 30, 1000
_SIZES = (-1, 0, 1, 9, 28, 220, 2**16 - 1, 2**20, 2**31, 2**32 - 1, 2**40, 2**63, 10**30)
_TYPES = (
    "|u1",
    ">i2",
    "<u8",
    "<f4",
    "|b1",
    "<c16",
    "<M8[s]",
    "<U3",
    "<U900000",
    "|S0",
    "|O",
    "|V9",
    "u1,u1",
    "(9,)u1",
    "zz",
    "T",
)
_NAMES = ("images", "labels", "x_train", "y_train", "train_images", "arr_0", "arr_1", "\x1b[31m", "")
_METHODS = (*[zipfile.ZIP_DEFLATED] * 4, *[zipfile.ZIP_STORED] * 4, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def odd_file(seed: int, index: int) -> tuple[str, bytes]:
    """Return the suffix and the contents of the file of a seed and an index."""
    chance = random.Random(f"{seed}/{index}")
    if chance.random() < 0.4:
        return ".parquet", _odd_parquet(chance)
    count, side, classes = chance.choice((220, 500)), chance.choice((28, 28, 28, 32, 1)), chance.choice((1, 10, 300))
    images = np.random.default_rng(index).integers(0, 256, (count, side, side), np.uint8)
    labels = (np.arange(count) % classes).astype(chance.choice(("u1", ">i2", "i8", "U3", "S2", "f4")))
    members = [("images", _header(images), images.tobytes()), ("labels", _header(labels), labels.tobytes())]
    place = chance.randrange(2)
    name, header, values = members[place]
    if is_bomb := chance.random() < 0.05:
        # Zeros, or a repeated image: both compress to a hundredth or less.
        values = chance.choice((bytes(784), chance.randbytes(784))) * int(2 ** chance.uniform(8, 18))
        members, place = members[: chance.choice((1, 1, 2))], 0
        shapes = ((len(values),), (len(values), 1, 1), (len(values) // 784, 28, 28), (len(values) // 784 + 1, 28, 28))
        header = _header_of("|u1", False, str(chance.choice(shapes)))
    if chance.random() < 0.4:
        sizes = [chance.choice((*_SIZES, *images.shape)) for _ in range(chance.choice((0, 1, 1, 3, 3, 3, 4, 40)))]
        shape = chance.choice(
            (f"({''.join(f'{size},' for size in sizes)})", str(images.shape), str(labels.shape), "(" * 99, "'a'")
        )
        header = _header_of(chance.choice(_TYPES), chance.random() < 0.3, shape)
    members[place] = (name if chance.random() < 0.8 else chance.choice(_NAMES), header, values)
    if chance.random() < 0.2:
        contents = members[place][1] + members[place][2]
        return ".npy", damaged_bytes(chance, contents, b"1") if chance.random() < 0.2 else contents
    if chance.random() < 0.2:
        empty = [(f"{place}", b"", b"") for place in range(chance.choice((3, 3000, 30_000)))]
        members = chance.choice((members[::-1], members * 2, members[:1], members[1:], members + empty))
    file_in_memory = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if is_bomb else chance.choice(_METHODS)
    with zipfile.ZipFile(file_in_memory, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about duplicate names
        for name, header, values in members:
            archive.writestr(f"{name}.npy", header + values)
    file = bytearray(file_in_memory.getvalue())
    for _ in range(chance.choice((0, 0, 0, 1, 1, 3))):  # numbers in the archive's own records
        records = [match.start() for match in re.finditer(rb"PK(\x01\x02|\x03\x04|\x05\x06)", file)]
        start = min(chance.choice(records[-9:]) + chance.randrange(4, 40), len(file) - 4)
        struct.pack_into("<I", file, start, chance.choice((0, 1, 2**16, 2**31, 2**32 - 1, len(file))))
    return ".npz", damaged_bytes(chance, bytes(file), b"PK\x05\x06" + bytes(300)) if chance.random() < 0.2 else bytes(file)


def _odd_parquet(chance: random.Random) -> bytes:
    """Return a table of a few hundred images with odd or damaged columns, pages or footer."""
    count, labels = chance.choice((220, 500)), chance.choice((10, 300))
    pictures: list[bytes | None] = [chance.choice(_PICTURES) for _ in range(count)]
    if chance.random() < 0.1:
        pictures[chance.randrange(count)] = chance.choice((b"", b"no picture", None, _PICTURES[0] + bytes(2**22)))
    image = pyarrow.array([{"bytes": picture, "path": None} for picture in pictures])
    label = pyarrow.array(np.arange(count) % labels).cast(chance.choice(("int64", "int16", "uint64", "float", "string")))
    columns = {"image": image, "label": label}
    if chance.random() < 0.1:
        columns = chance.choice(({"image": label}, {"label": image}, {"image": image}, {"label": label}))
    metadata = chance.choice((None, {"huggingface": chance.choice(_METADATA)}))
    contents = io.BytesIO()
    parquet.write_table(
        pyarrow.table(columns).replace_schema_metadata(metadata),
        contents,
        compression=chance.choice(("snappy", "snappy", "snappy", "none", "none", "zstd")),
        row_group_size=chance.choice((None, 7, 100)),
        use_dictionary=chance.random() < 0.5,
        data_page_version=chance.choice(("1.0", "2.0")),
        store_schema=chance.random() < 0.5,
    )
    file = bytearray(contents.getvalue())
    if chance.random() < 0.7:  # within the footer, or the first page
        length = int.from_bytes(file[-8:-4], "little")
        for _ in range(chance.choice((1, 1, 3, 9))):
            place = chance.choice(
                (len(file) - 8 - chance.randrange(length), chance.randrange(4, 60), len(file) - 1 - chance.randrange(8))
            )
            file[place] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
    return damaged_bytes(chance, bytes(file), b"PAR1" + bytes(300)) if chance.random() < 0.2 else bytes(file)


def _png(image: NDArray[np.uint8]) -> bytes:
    contents = io.BytesIO()
    Image.fromarray(image).save(contents, "PNG")
    return contents.getvalue()


_PICTURES = [_png(image) for image in np.random.default_rng(0).integers(0, 256, (60, 28, 28), np.uint8)]
_METADATA = (
    "{",
    "[]",
    "[" * 9999,
    '{"info": {"features": {}}}',
    '{"info": {"features": {"label": {"names": ["0", 1]}}}}',
    '{"info": {"features": {"label": {"names": ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]}}}}',
)


def _header(array: NDArray[np.generic]) -> bytes:
    return _header_of(array.dtype.str, False, str(array.shape))


def _header_of(descr: str, is_fortran: bool, shape: str) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': {is_fortran}, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def read_files(pipe: Connection) -> None:
    """Read each file whose path comes from the pipe as both commands do; answer with outcome, message and additional memory."""
    with suppress(EOFError):  # no more files
        while True:
            path, outcome, message = pipe.recv(), "read", ""
            Path("/proc/self/clear_refs").write_text("5")  # resets the memory peak
            before = peak_megabytes()
            for read in (load_training_images, lambda named: open_source(named, 1)):
                try:
                    read(path)
                except PocketganError as error:  # unprintable characters are escaped by the commands
                    outcome, message = (REFUSED if outcome != FAILED else FAILED), message or str(error)
                    if "\n" in str(error) or len(str(error)) > LONGEST_LINE or re.search("MemoryError|alloc", str(error)):
                        outcome, message = FAILED, str(error)
                except BaseException as error:  # a command would show a traceback
                    outcome, message = FAILED, f"{type(error).__name__}: {error}"
            grown = peak_megabytes() - before
            pipe.send((FAILED if grown > MOST_MEGABYTES else outcome, message, grown))


def main() -> None:
    """Try the files and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("--count", 2_000), ("--seed", 0), ("--first", 0)):
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder for files that failed")
    arguments = parser.parse_args()
    outcomes, refusals, largest, began = Counter[str](), Counter[str](), 0, time.monotonic()
    spawn, process = multiprocessing.get_context("spawn"), None
    with tempfile.TemporaryDirectory() as folder:
        for index in range(arguments.first, arguments.first + arguments.count):
            if process is None:
                pipe, far_end = spawn.Pipe()
                process = spawn.Process(target=read_files, args=(far_end,), daemon=True)
                process.start()
                far_end.close()
            suffix, contents = odd_file(arguments.seed, index)
            path = Path(folder, f"odd{suffix}")
            path.write_bytes(contents)
            outcome, message, megabytes = FAILED, f"crashed, or no answer after {SECONDS_FOR_A_FILE} seconds", 0
            with suppress(EOFError, OSError):
                pipe.send(str(path))
                if pipe.poll(SECONDS_FOR_A_FILE):
                    outcome, message, megabytes = pipe.recv()
            outcomes[outcome] += 1
            refusals[re.sub(r"\d[\d,]*", "1", message.replace(str(path), "FILE"))[:100]] += outcome == REFUSED
            largest = max(largest, megabytes)
            if outcome == FAILED:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                (arguments.keep / f"{arguments.seed}-{index}{suffix}").write_bytes(contents)
                print_message(f"failed: seed {arguments.seed}, file {index}, {megabytes} MB: {message}")
                process.kill()
                process = None
    seconds = time.monotonic() - began
    print(
        f"seed {arguments.seed}: {outcomes.total():,} files in {seconds:,.0f} s, at most {largest} MB of memory: {dict(outcomes)}"
    )
    for kind, count in refusals.most_common(30):
        print(f"{count:7,}  {printable(kind)}")
    sys.exit(1 if outcomes[FAILED] else 0)


if __name__ == "__main__":
    main()
