"""Files of published data sets: their names, their digests, and where they are found or downloaded to."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketgan_trainer.data.download import download


@dataclass(frozen=True)
class PublishedFile:
    """One published file, and the digests (SHA-256) by which it is known."""

    name: str
    """Without `.gz`."""
    contents_sha256: str
    """Of the uncompressed contents: the same however the file was compressed. Empty where it is not known."""
    archive_sha256: str
    """Of the `.gz` file as the mirrors serve it. The bundled files are compressed better and have other digests."""


def accepted_names(name: str) -> tuple[str, ...]:
    """Return the names of an IDX file, published as `name`.gz; some programs unpack it with a dot before `idx`."""
    dotted = name.replace("-idx", ".idx")
    return (name, f"{name}.gz", dotted, f"{dotted}.gz")


def find_named(folder: Path, name: str) -> Path | None:
    """Return where `folder` holds the IDX file that was published as `name`.gz, under any of its names, or None.

    Some programs unpack it into a folder named like it.
    """
    for other in accepted_names(name):
        path = folder / other
        for candidate in (path, *(path / inner for inner in accepted_names(name))):
            if os.path.exists(candidate) and not os.path.isdir(candidate):
                return candidate
    return None


def find_or_download(folder: Path, file: PublishedFile, mirrors: Sequence[str]) -> Path:
    """Return where `folder` holds the file, after downloading it from the first of `mirrors` that has it, if it must be.

    Each mirror is the address of a folder, with a slash at its end. Raises DownloadError as `download` does.
    """
    if (found := find_named(folder, file.name)) is not None:
        return found
    target = folder / f"{file.name}.gz"
    download([mirror + target.name for mirror in mirrors], target, file.archive_sha256)
    return target
