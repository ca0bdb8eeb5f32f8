"""pocketgan: draw endless digits from one small integer ONNX file.

    from pocketgan import Generator

    images = Generator.load().generate(10, seed=1)  # uint8 [10, 28, 28]

Names are imported when they are first used, so that `import pocketgan` costs nothing.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocketgan.errors import CardError as CardError
    from pocketgan.errors import ModelError as ModelError
    from pocketgan.errors import OutputError as OutputError
    from pocketgan.errors import PocketganError as PocketganError
    from pocketgan.errors import ProviderError as ProviderError
    from pocketgan.errors import RequestError as RequestError
    from pocketgan.errors import RuntimeMissingError as RuntimeMissingError
    from pocketgan.generator import Batch as Batch
    from pocketgan.generator import Generator as Generator
    from pocketgan.model.card import ModelCard as ModelCard
    from pocketgan.model.session import Provider as Provider
    from pocketgan.output.saving import save as save
    from pocketgan.write.request import writing_request as writing_request
    from pocketgan.write.writing import Writing as Writing

# onnxruntime 1.29 and later send telemetry: from their import on they keep a device id and a database in the user's home, and
# their thread keeps forked processes from ending. A user who wants that sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_MODULE_OF = {
    "Batch": "generator",
    "CardError": "errors",
    "Generator": "generator",
    "ModelCard": "model.card",
    "ModelError": "errors",
    "OutputError": "errors",
    "PocketganError": "errors",
    "Provider": "model.session",
    "ProviderError": "errors",
    "RequestError": "errors",
    "RuntimeMissingError": "errors",
    "Writing": "write.writing",
    "save": "output.saving",
    "writing_request": "write.request",
}

__all__ = sorted([*_MODULE_OF, "models"])


def models() -> list[str]:
    """Return the names of the bundled models."""
    from pocketgan_models import names

    return names()


def __dir__() -> list[str]:
    """Return the public names, for completion in an interactive Python."""
    return [*__all__, "__version__"]


def __getattr__(name: str) -> object:
    """Import a public name from its module."""
    if name == "__version__":
        from pocketgan.version import VERSION

        return VERSION
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'pocketgan' has no attribute {name!r}")
    return getattr(import_module(f"pocketgan.{_MODULE_OF[name]}"), name)
