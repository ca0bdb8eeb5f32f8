"""What an exported file must reach before it is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pocketgan_trainer.training.presets import Preset


@dataclass(frozen=True)
class Limits:
    """What a file must reach."""

    least_psnr_db: float
    """How near its pixels must be to torch's."""
    is_forced: bool
    """Whether a file that does not reach the limits is written all the same."""


_FLOAT_PSNR_DB: Mapping[str, float] = MappingProxyType({"fp16": 50.0, "fp32": 60.0})


def default_limits(preset: Preset, precision: str) -> Limits:
    """Return the limits of a preset's files in one of the precisions of `card.PRECISIONS`: only int8 is a matter of preset."""
    return Limits(_FLOAT_PSNR_DB.get(precision, preset.least_psnr_db), is_forced=False)
