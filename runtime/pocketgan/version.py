"""The version of pocketgan, written here and nowhere else: pyproject.toml reads it too."""

VERSION = "0.2.0"
