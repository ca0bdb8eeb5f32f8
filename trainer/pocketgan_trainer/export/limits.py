"""How near to torch's pixels an exported file's must be."""

from pocketgan_trainer.training.presets import Preset


def usual_least_psnr_db(preset: Preset, precision: str) -> float:
    """Return the limit for a file in one of the precisions of `card.PRECISIONS`; only int8 is a matter of the preset."""
    return {"int8": preset.least_psnr_db, "fp16": 50.0, "fp32": 60.0}[precision]
