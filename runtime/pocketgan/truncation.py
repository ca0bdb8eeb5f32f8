"""Truncation: how far latents are pulled towards 0, in exact units."""

from numbers import Real

from pocketgan.errors import RequestError

FULL_VARIETY = 1.0
"""The truncation that leaves latents as they are."""

TRUNCATION_UNITS = 256
"""Truncations are whole numbers of units of 1/256, so that latents are scaled in integers, alike on every machine."""


def truncation_units(truncation: float) -> int:
    """Return a truncation as a whole number of units, 1 to TRUNCATION_UNITS: the nearest (a tie goes to the even one), never 0.

    A truncation psi multiplies each latent: 1 is full variety, less gives images nearer to the average one (T. Karras et al., "A
    Style-Based Generator Architecture for Generative Adversarial Networks", 2019, appendix B; here of z, whose mean is 0).
    Raises RequestError unless it is above 0 and at most 1.
    """
    if isinstance(truncation, bool) or not isinstance(truncation, Real):
        raise RequestError(f"truncation {truncation!r} is not a number")
    if not 0 < truncation <= 1:  # nor is nan
        raise RequestError(f"truncation {truncation} is out of range: expected above 0, at most 1")
    return max(1, round(float(truncation) * TRUNCATION_UNITS))
