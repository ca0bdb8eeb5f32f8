"""What was seen of a run after an epoch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassView:
    """The generated images of one class, as a judge sees them; of all images, where there are no classes."""

    name: str
    share: float
    """Of the generated images: how many the judge takes for this class."""
    real_share: float
    """The same of the validation images, by their labels."""
    real_images: int
    """How many validation images that are."""
    coverage: float | None
    """Share of the class's validation images with a generated one of the class as near as their fifth nearest like.

    0.97 for a sample of the same images; 0.94 on average for training digits of MNIST, whose last digits are by other hands. None
    if there are too few to tell.
    """
    variety: float | None
    """How far apart two of its generated images are, as a ratio to two of its validation images: 1 for real ones, 0 if all are
    the same. None if there are too few of either to tell."""


@dataclass(frozen=True)
class Pairs:
    """What the discriminator says of pairs of a real and a generated image, of the same class if it is told classes."""

    named_training: float
    """Share of the pairs in which it finds the real image more real, where that is one it trains on: 0.5 if it cannot tell."""
    named_held_out: float
    """The same for validation images, which it never meets."""
    lead_training: float
    """By how much the logit of the real one is higher, on average, where it trains on that one."""
    lead_held_out: float
    """The same for validation images."""


@dataclass(frozen=True)
class Observation:
    """What was seen after an epoch."""

    frechet_ratio: float
    """How far the generated images are from the validation images, as a ratio to real ones; the lower, the better."""
    classes: tuple[ClassView, ...]
    """By label; one for all, where there are no classes."""
    pairs: Pairs

    def to_statistics(self) -> dict[str, object]:
        """Return it as a line of `stats.jsonl` holds it, where numbers of classes go by their names."""
        return {
            "frechet_ratio": self.frechet_ratio,
            "class_shares": {view.name: round(view.share, 4) for view in self.classes},
            "coverage": {view.name: None if view.coverage is None else round(view.coverage, 4) for view in self.classes},
            "variety": {view.name: None if view.variety is None else round(view.variety, 4) for view in self.classes},
            "pairs_named_training": round(self.pairs.named_training, 4),
            "pairs_named_held_out": round(self.pairs.named_held_out, 4),
            "pairs_lead_training": round(self.pairs.lead_training, 4),
            "pairs_lead_held_out": round(self.pairs.lead_held_out, 4),
        }
