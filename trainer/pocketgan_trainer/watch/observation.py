"""What is observed of a run after an epoch, its fields in `stats.jsonl`, and its figures in words."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Line: TypeAlias = Mapping[str, object]
"""One epoch, as `stats.jsonl` holds it."""

LEAST_TOLD_APART = 0.51
"""Of 10,000 images that are alike, a test of texture sorts up to this share correctly by chance."""
LEAST_TOPOLOGY_DISTANCE = 0.005
"""Of thousands of images of one class that are alike, parts and holes differ by this much by chance."""
TOPOLOGY_NOISE = 1.5
"""Parts and holes of images like real ones differ up to this many times as much as those of samples of real ones on average."""


@dataclass(frozen=True)
class ClassView:
    """The generated images that a judge takes for one class; all of them, where there are no classes."""

    name: str
    share: float
    """Of all generated images."""
    real_share: float
    """The same of the validation images, by their labels."""
    real_images: int
    """The number of those validation images."""
    coverage: float | None
    """Share of the class's validation images with a generated one of the class nearer than their fifth nearest validation image.

    0.97 for a sample of the same images; 0.94 on average for training digits of MNIST, whose last digits are by other writers.
    None if there are too few validation images.
    """
    variety: float | None
    """The root mean square distance of two of its generated images, as a ratio to that of two of its validation images: 1 for
    real ones, 0 if all are the same. None if there are too few of either."""
    misjudged: float | None = None
    """Share of the images drawn for this class that the judge takes for another one; None if classes cannot be asked for."""
    real_misjudged: float = 0.0
    """The same of its validation images."""


@dataclass(frozen=True)
class Pairs:
    """How the discriminator ranks pairs of a real and a generated image, of the same class if it is conditional."""

    named_training: float
    """Share of the pairs in which it ranks the real image higher, where that is one it trains on: 0.5 for a guess."""
    named_held_out: float
    """The same for validation images, which it never trains on."""
    lead_training: float
    """By how much the logit of the real one is higher, on average, where it trains on that one."""
    lead_held_out: float
    """The same for validation images."""


@dataclass(frozen=True)
class Texture:
    """How generated images can be told from validation images by which grey levels are side by side."""

    told_apart: float
    """Share of both that a linear test classifies correctly: 0.5 for a guess."""
    real_told_apart: float
    """The same of training images in place of generated ones: a little above 0.5 where other people wrote them."""
    largest_difference: str
    """What differs most, in words."""


@dataclass(frozen=True)
class Topology:
    """How the numbers of parts and holes of generated images' ink differ from those of training images of the same class."""

    distance: float
    """The total variation distance, the mean over classes: 0 if alike, at most 1."""
    real_distance: float
    """The same of other training images in place of generated ones."""
    worst_class: str
    """The class whose numbers differ most."""
    worst_distance: float
    """The distance of that class alone."""
    excess: float
    """How many more parts or fewer holes an image of that class has than it should, on average; below 0, fewer parts or more
    holes."""


@dataclass(frozen=True)
class Observation:
    """What is observed after an epoch."""

    frechet_ratio: float
    """How far the generated images are from the training images, as a ratio to real ones; the lower, the better."""
    classes: tuple[ClassView, ...]
    """By label; one for all, where there are no classes."""
    pairs: Pairs
    texture: Texture | None = None
    """None if the validation images are too few for it."""
    topology: Topology | None = None
    """The same."""

    @property
    def misjudged(self) -> float | None:
        """Share of all images that the judge takes for another class; None if classes cannot be asked for."""
        shares = [view.misjudged * view.real_share for view in self.classes if view.misjudged is not None]
        return sum(shares) if shares else None

    @property
    def misjudged_limit(self) -> float:
        """The largest misjudged share that chance explains if images are like real ones."""
        real = sum(view.real_misjudged * view.real_share for view in self.classes)
        return common_misjudged(real, sum(view.real_images for view in self.classes), deviations=2)

    @property
    def score(self) -> float:
        """The score by which the best epoch is chosen; lower is better.

        It is the Frechet ratio, multiplied by the share of images that texture gives away: 1 if a test of texture is always
        right, 0 if it can only guess, but no less than for real images. The Frechet ratio alone hardly sees texture, and texture
        alone says nothing about shapes or about images that are missing. If more images are misjudged than chance explains, the
        score is as many times higher: the ratio of a few thousand images hardly shows that one in a hundred is a blot. So it is
        if parts and holes differ more from those of training images than they do among these.
        """
        score = self.frechet_ratio
        if self.texture is not None:
            score *= 2 * max(self.texture.told_apart, self.texture.real_told_apart, LEAST_TOLD_APART) - 1
        if self.misjudged is not None:
            score *= max(1.0, self.misjudged / self.misjudged_limit)
        if self.topology is not None:
            common = TOPOLOGY_NOISE * max(self.topology.real_distance, LEAST_TOPOLOGY_DISTANCE)
            score *= max(1.0, self.topology.distance / common)
        return score

    def to_statistics(self) -> dict[str, object]:
        """Return the fields of a line of `stats.jsonl`, where the figures of classes go by their names."""
        return {
            "score": self.score,
            "frechet_ratio": self.frechet_ratio,
            "told_apart_by_texture": None if self.texture is None else round(self.texture.told_apart, 4),
            "largest_texture_difference": None if self.texture is None else self.texture.largest_difference,
            "topology_distance": None if self.topology is None else round(self.topology.distance, 4),
            "misjudged": None if self.misjudged is None else round(self.misjudged, 4),
            "misjudged_of_class": {
                view.name: None if view.misjudged is None else round(view.misjudged, 4) for view in self.classes
            },
            "class_shares": {view.name: round(view.share, 4) for view in self.classes},
            "coverage": {view.name: None if view.coverage is None else round(view.coverage, 4) for view in self.classes},
            "variety": {view.name: None if view.variety is None else round(view.variety, 4) for view in self.classes},
            "pairs_named_training": round(self.pairs.named_training, 4),
            "pairs_named_held_out": round(self.pairs.named_held_out, 4),
            "pairs_lead_training": round(self.pairs.lead_training, 4),
            "pairs_lead_held_out": round(self.pairs.lead_held_out, 4),
        }


def common_misjudged(real: float, images: int, deviations: float) -> float:
    """Return the misjudged share of `images` that chance explains if it is `real` among as many real ones; three images at least.

    Both shares are samples, so their difference varies by the square root of two more than each.
    """
    return max(real + deviations * math.sqrt(2 * real * (1 - real) / images), 3 / images)


def figures_in_words(line: Line) -> list[str]:
    """Return the figures of an epoch, one on each line of text, with its worst class; those that the line lacks are left out."""
    parts = []
    ratio = line.get("frechet_ratio")
    if isinstance(ratio, float):
        parts.append(f"Frechet ratio {ratio:.3f} (real images: 1)")
    shares = line.get("class_shares")
    if isinstance(shares, dict) and len(shares) > 1:
        (least, rarest), (most, commonest) = (find((share, name) for name, share in shares.items()) for find in (min, max))
        parts.append(f"classes {least:.1%} ({class_title(rarest)}) to {most:.1%} ({class_title(commonest)})")
    for figure in ("coverage", "variety"):
        known = _known(line.get(figure))
        if known:
            (worst, name), *others = known
            parts.append(f"{figure} {worst:.2f}" + (f" at least ({class_title(name)})" if others else ""))
    misjudged = line.get("misjudged")
    if isinstance(misjudged, float):
        known = _known(line.get("misjudged_of_class"))
        parts.append(f"misjudged {misjudged:.1%}" + "".join(f" ({most:.1%} of {class_title(name)})" for most, name in known[-1:]))
    topology_distance = line.get("topology_distance")
    if isinstance(topology_distance, float):
        parts.append(f"parts and holes off by {topology_distance:.1%}")
    told_apart = line.get("told_apart_by_texture")
    if isinstance(told_apart, float):
        parts.append(f"told apart by texture {told_apart:.1%}")
    if isinstance(line.get("largest_texture_difference"), str):
        parts.append(f"what differs most in texture: {line['largest_texture_difference']}")
    held_out, trained_on = line.get("pairs_named_held_out"), line.get("pairs_named_training")
    if isinstance(held_out, float) and isinstance(trained_on, float):
        parts.append(f"discriminator right in {held_out:.0%} of pairs, in {trained_on:.0%} with images it trains on")
    return parts


def _known(table: object) -> list[tuple[float, str]]:
    """Return the figures of a line's table by class that are known, each with its class, from the least to the largest."""
    return sorted((value, name) for name, value in table.items() if value is not None) if isinstance(table, dict) else []


def class_title(name: str) -> str:
    """Return how messages name a class: digits as such, others in quotes."""
    return f"digit {name}" if len(name) == 1 and name.isdigit() else f"class {name!r}"
