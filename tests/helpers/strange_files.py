"""What may lie in a folder in place of a file: links that lead elsewhere, and what blocks whoever opens it."""

import os
import socket
from pathlib import Path

LINKS = ("symbolic link", "hard link", "link to nothing")


def put(kind: str, path: Path, target: Path) -> None:
    """Create something other than a plain file at a path. Links lead to `target`, or to a missing file next to it."""
    match kind:
        case "symbolic link":
            path.symlink_to(target)
        case "hard link":
            path.hardlink_to(target)
        case "link to nothing":
            path.symlink_to(target.with_name("nothing"))
        case "named pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to(os.devnull)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(os.path.relpath(path))  # its name must be short
        case "folder":
            path.mkdir()
        case _:
            raise ValueError(kind)
