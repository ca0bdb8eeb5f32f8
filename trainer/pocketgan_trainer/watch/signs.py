"""What is observed of a run after an epoch, the signs in it that the run goes wrong, and what to try then.

Signs come from one epoch and the lines of `stats.jsonl` before it. A single odd epoch is common, so a warning is printed only
after two epochs in a row have the same sign. The limits were chosen by healthy and deliberately broken runs, see
scripts/provoke_failures.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Line: TypeAlias = Mapping[str, object]
"""One epoch, as `stats.jsonl` holds it."""

MISSING_SHARE = 0.2
"""A class is missing if its share of the images is less than this part of its share of real ones."""
PRESENT_SHARE = 0.5
"""A class was present if its share was at least this part; if it is missing later, it is vanishing."""
LEAST_REAL_IMAGES = 20
"""With fewer validation images of a class, it may be chance that none is drawn."""
LEAST_VARIETY = 0.5
MISJUDGED_MARGIN = 0.02
"""A class is badly formed if its misjudged share exceeds what chance explains by more than this."""
ALL_PAIRS = 0.995
NO_PAIRS = 0.55
ROUGH_RATIO = 50.0
MEMORIZED_GAP = 0.1
WORSE_FACTOR = 2.0
PROGRESS_EPOCHS = 3
BETTER_FACTOR = 0.9
"""A run gets better if the best Frechet ratio of its last PROGRESS_EPOCHS is at most this part of the best one before them."""
LEAST_TOLD_APART = 0.51
"""Of 10,000 images that are alike, a test of texture sorts up to this share correctly by chance."""
LEAST_TOPOLOGY_DISTANCE = 0.005
"""Of thousands of images of one class that are alike, parts and holes differ by this much by chance."""
TOPOLOGY_NOISE = 1.5
"""Parts and holes of images like real ones differ up to this many times as much as those of samples of real ones on average."""
TOPOLOGY_MARGIN = 0.05
"""Images are badly formed if the distance of their parts and holes exceeds that of real ones by more than this."""
YOUNG_EPOCHS = 4
"""The first epochs, in which all images are rough: there are no signs while the run gets better."""


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


def summary(line: Line) -> str:
    """Return the figures of an epoch on one line of text, each with its worst class; "" if the line has none of them."""
    parts = []
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
    held_out, trained_on = line.get("pairs_named_held_out"), line.get("pairs_named_training")
    if isinstance(held_out, float) and isinstance(trained_on, float):
        parts.append(f"D right in {held_out:.0%} of pairs, {trained_on:.0%} of those it trains on")
    return "  ".join(parts)


def _known(table: object) -> list[tuple[float, str]]:
    """Return the figures of a line's table by class that are known, each with its class, from the least to the largest."""
    return sorted((value, name) for name, value in table.items() if value is not None) if isinstance(table, dict) else []


def class_title(name: str) -> str:
    """Return how messages name a class: digits as such, others in quotes."""
    return f"digit {name}" if len(name) == 1 and name.isdigit() else f"class {name!r}"


@dataclass(frozen=True)
class Sign:
    """One thing that goes wrong."""

    kind: str
    """One word, or a few."""
    class_name: str | None
    """The class that it is about; None if about all images."""
    message: str
    advice: str

    @property
    def key(self) -> str:
        """Identifies the sign from epoch to epoch, and in `stats.jsonl`."""
        return self.kind if self.class_name is None else f"{self.kind} {self.class_name}"


@dataclass(frozen=True)
class Remedies:
    """What can be suggested to a run: what it already has, and which presets have what it lacks."""

    is_conditional: bool
    """Whether its networks take the classes of the images."""
    has_penalty: bool
    """Whether its discriminator has a gradient penalty."""
    conditional_presets: tuple[str, ...]
    penalized_presets: tuple[str, ...]
    """Those with a gradient penalty."""
    shifting_presets: tuple[str, ...]
    """Those that can show their discriminator shifted images."""


def signs_of(seen: Observation, before: Sequence[Line], remedies: Remedies) -> list[Sign]:
    """Return the signs in what is observed after an epoch; `before` are the lines of the epochs before it, oldest first."""
    known = [(ratio, line.get("epoch")) for line in before if isinstance(ratio := line.get("frechet_ratio"), float)]
    best_ratio, best_epoch = min(known, key=lambda of_line: of_line[0], default=(math.inf, None))
    recent = PROGRESS_EPOCHS - 1
    earlier = [ratio for ratio, _ in known[:-recent]]
    latest = min([seen.frechet_ratio, *(ratio for ratio, _ in known[-recent:])])
    is_better = not earlier or latest <= BETTER_FACTOR * min(earlier)
    if len(before) < YOUNG_EPOCHS and is_better:
        return []
    return [
        *_missing_classes(seen.classes, before, remedies),
        *_classes_all_alike(seen.classes),
        *([] if is_better else [*_badly_formed(seen.classes, remedies), *_torn(seen, remedies), *_won(seen, remedies)]),
        *_lost(seen),
        *_memorized(seen, remedies),
        *_worse(seen, best_ratio, best_epoch),
    ]


def _missing_classes(classes: Sequence[ClassView], before: Sequence[Line], remedies: Remedies) -> list[Sign]:
    advice = "a lower --lr, a larger --batch-size or another --seed"
    if not remedies.is_conditional:
        advice += f"; {' and '.join(remedies.conditional_presets)} draw the class that is asked for"
    signs = []
    for view in classes:
        if view.real_images < LEAST_REAL_IMAGES or view.share >= MISSING_SHARE * view.real_share:
            continue
        was_present = any(_share_in(line, view.name) >= PRESENT_SHARE * view.real_share for line in before)
        kind = "vanishing" if was_present else "missing"
        shares = f"it has {view.share:.1%} of the generated images, but {view.real_share:.1%} of the real ones"
        signs.append(Sign(kind, view.name, f"{class_title(view.name)} is {kind}: {shares}", advice))
    return signs


def _share_in(line: Line, name: str) -> float:
    shares = line.get("class_shares")
    return float(shares.get(name, 0.0)) if isinstance(shares, dict) else 0.0


def _classes_all_alike(classes: Sequence[ClassView]) -> list[Sign]:
    """Return a sign for each class whose images hardly differ, but for missing classes."""
    return [
        Sign(
            "alike",
            view.name,
            f"the images{f' of {class_title(view.name)}' if len(classes) > 1 else ''} are too much alike: "
            f"two of them are {view.variety:.0%} as far apart as real ones",
            "a lower --lr, a larger --batch-size or another --seed",
        )
        for view in classes
        if view.variety is not None and view.share >= MISSING_SHARE * view.real_share and view.variety < LEAST_VARIETY
    ]


def common_misjudged(real: float, images: int, deviations: float) -> float:
    """Return the misjudged share of `images` that chance explains if it is `real` in the long run; three images at least."""
    return max(real + deviations * math.sqrt(real * (1 - real) / images), 3 / images)


def _badly_formed(classes: Sequence[ClassView], remedies: Remedies) -> list[Sign]:
    """Return a sign for each class whose misjudged share exceeds what chance explains by MISJUDGED_MARGIN."""
    signs = []
    for view in classes:
        if view.misjudged is None or view.real_images < LEAST_REAL_IMAGES:
            continue
        if view.misjudged <= common_misjudged(view.real_misjudged, view.real_images, deviations=3) + MISJUDGED_MARGIN:
            continue
        message = (
            f"{class_title(view.name)} is often badly formed: a judge takes {view.misjudged:.1%} of its images for another "
            f"class, {view.real_misjudged:.1%} of real ones"
        )
        signs.append(Sign("badly formed", view.name, message, _form_advice(remedies)))
    return signs


def _torn(seen: Observation, remedies: Remedies) -> list[Sign]:
    """Return a sign if parts and holes differ from real ones by TOPOLOGY_MARGIN more than those differ among themselves."""
    topology = seen.topology
    if topology is None or topology.distance <= topology.real_distance + TOPOLOGY_MARGIN:
        return []
    more, fewer = ("parts", "holes") if topology.excess > 0 else ("holes", "parts")
    of_class = f" of {class_title(topology.worst_class)}" if len(seen.classes) > 1 else ""
    message = (
        f"the ink does not hang together as it should: parts and holes of {topology.worst_distance:.1%} of the images{of_class} "
        f"are not those of real ones; they have {abs(topology.excess):.2f} more {more} or fewer {fewer} on average"
    )
    return [Sign("torn", None, message, _form_advice(remedies))]


def _form_advice(remedies: Remedies) -> str:
    return "a lower --lr" + (", or more --set final_penalty_share=..., up to 1" if remedies.has_penalty else "")


def _won(seen: Observation, remedies: Remedies) -> list[Sign]:
    right = seen.pairs.named_held_out
    if right < ALL_PAIRS:
        return []
    message = f"the discriminator has won: it finds the real image in {right:.1%} of pairs, and the images get no better"
    penalty = "more --set gradient_penalty=..."
    if not remedies.has_penalty:
        penalty = f"{' or '.join(remedies.penalized_presets)}, which hold it back"
    return [Sign("won", None, message, f"a lower --lr, or {penalty}")]


def _lost(seen: Observation) -> list[Sign]:
    right = seen.pairs.named_held_out
    if right > NO_PAIRS or seen.frechet_ratio < ROUGH_RATIO:
        return []
    message = f"the discriminator has lost: it finds the real image in {right:.1%} of pairs, though the images are rough"
    return [Sign("lost", None, message, "another --lr, or a lower --set gradient_penalty=... where there is one")]


def _memorized(seen: Observation, remedies: Remedies) -> list[Sign]:
    pairs = seen.pairs
    if pairs.named_training - pairs.named_held_out < MEMORIZED_GAP:
        return []
    message = (
        f"the discriminator has memorized its training images: it finds the real image in {pairs.named_training:.1%} of pairs "
        f"with those, but in {pairs.named_held_out:.1%} with images that it never saw"
    )
    advice = "more images, or fewer --epochs"
    if remedies.shifting_presets:
        advice += f"; in {' and '.join(remedies.shifting_presets)}, more --set shifted_share=..."
    return [Sign("by heart", None, message, advice)]


def _worse(seen: Observation, best_ratio: float, best_epoch: object) -> list[Sign]:
    if seen.frechet_ratio <= WORSE_FACTOR * best_ratio:
        return []
    message = f"the images get worse: Frechet ratio {seen.frechet_ratio:.3g}, after {best_ratio:.3g} in epoch {best_epoch}"
    return [Sign("worse", None, message, "stopping here (Ctrl-C), since the best epoch is kept; then a lower --lr")]


def standing_signs(lines: Sequence[Line]) -> dict[str, str]:
    """Return the signs that both of the last two lines have: their keys, with the message of the last epoch."""
    if len(lines) < 2:
        return {}
    before, last = (_signs_in(line) for line in lines[-2:])
    return {key: message for key, message in last.items() if key in before}


def _signs_in(line: Line) -> dict[str, str]:
    signs = line.get("signs")
    return {str(key): str(message) for key, message in signs.items()} if isinstance(signs, dict) else {}


def merged(signs: Sequence[Sign]) -> list[Sign]:
    """Return the signs with those of the same kind merged, so that ten classes do not take ten lines."""
    of_kind: dict[str, list[Sign]] = {}
    for sign in signs:
        of_kind.setdefault(sign.kind, []).append(sign)
    return [alike[0] if len(alike) == 1 else _joined(alike) for alike in of_kind.values()]


def _joined(signs: Sequence[Sign]) -> Sign:
    kind, names = signs[0].kind, [class_title(sign.class_name or "") for sign in signs]
    state = {"alike": "have images that are too much alike", "badly formed": "are often badly formed"}.get(kind, f"are {kind}")
    return Sign(kind, None, f"{', '.join(names)} {state}", signs[0].advice)
