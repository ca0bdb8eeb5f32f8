"""Formats of data that are not read, or not from within a folder: what they are, and how to convert them."""

from dataclasses import dataclass

_SAVE = "save its images, uint8 [N, H, W], and labels [N] with numpy.savez, as `images` and `labels`"


@dataclass(frozen=True)
class OtherFormat:
    """A format, and what to do with a file of it."""

    suffixes: tuple[str, ...]
    what: str
    remedy: str


_FORMATS = (
    OtherFormat((".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar"), "an archive", "unpack it and give the folder"),
    OtherFormat((".xz", ".bz2", ".zst"), "a compressed file", "unpack it"),
    OtherFormat(
        (".csv", ".csv.gz", ".tsv"), "a table in text", f"read it with numpy.loadtxt, reshape its rows of pixels, and {_SAVE}"
    ),
    OtherFormat((".mat",), "a MATLAB file", f"read it with scipy.io.loadmat, and {_SAVE}"),
    OtherFormat(
        (".pkl", ".pkl.gz", ".pickle", ".joblib"),
        "a Python pickle, which can run code",
        f"if you trust its author, load it with pickle, and {_SAVE}",
    ),
    OtherFormat(
        (".arrow", ".feather"),
        "a table of columns",
        f"read it with pandas.read_feather, and save its pictures in one folder per class, or {_SAVE}",
    ),
    OtherFormat((".pt", ".pth"), "a PyTorch file", f"load it with torch.load(weights_only=True), and {_SAVE}"),
    OtherFormat((".h5", ".hdf5"), "an HDF5 file", f"read it with h5py, and {_SAVE}"),
    OtherFormat((".arff", ".tfrecord"), "a file of another program", f"read it with that, and {_SAVE}"),
    OtherFormat((".tif", ".tiff", ".pgm", ".ppm"), "a picture in another format", "convert it and all others to PNG"),
    OtherFormat((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"), "a single picture", "give the folder of all pictures"),
    OtherFormat((".npz", ".npy", ".parquet"), "a file that may hold images", "give its path"),
)


def other_format(name: str) -> OtherFormat | None:
    """Return the format of a file of that name, or None if none is known for it."""
    return next((other for other in _FORMATS if name.lower().endswith(other.suffixes)), None)
