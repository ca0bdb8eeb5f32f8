"""What is observed of a run after an epoch, the signs that it goes wrong, and what to try."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias


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


Line: TypeAlias = Mapping[str, object]
"""One epoch, as `stats.jsonl` holds it."""

MISSING_SHARE = 0.2
"""A class is missing if its share of the images is less than this part of its share of real ones."""
PRESENT_SHARE = 0.5
"""A class was there if its share was at least this part; if it is missing later, it is vanishing."""
LEAST_VARIETY = 0.5
ALL_PAIRS = 0.995
NO_PAIRS = 0.55
ROUGH_RATIO = 5.0
BY_HEART_GAP = 0.1
WORSE_FACTOR = 2.0
PROGRESS_EPOCHS = 3
BETTER_FACTOR = 0.9
"""A run gets better if the best Frechet ratio of so many last epochs is at most this part of the best one before them."""
YOUNG_EPOCHS = 4
"""In so many first epochs all images are rough, so that only what does not get better counts."""
LEAST_REAL_IMAGES = 20
"""Of classes with fewer validation images it may be chance that none is drawn."""


@dataclass(frozen=True)
class Sign:
    """One thing that goes wrong."""

    kind: str
    """One word, or a few."""
    class_name: str | None
    """The class that it is about; None if about all images."""
    told: str
    advice: str

    @property
    def key(self) -> str:
        """What it is known by from epoch to epoch."""
        return self.kind if self.class_name is None else f"{self.kind} {self.class_name}"


@dataclass(frozen=True)
class Remedies:
    """What can be advised to a run: what it has already, and which presets have what it lacks."""

    is_conditional: bool
    """Whether its networks take the classes of the images."""
    has_penalty: bool
    """Whether a gradient penalty holds its discriminator back."""
    conditional_presets: tuple[str, ...]
    penalized_presets: tuple[str, ...]
    """Those with a gradient penalty."""
    shifting_presets: tuple[str, ...]
    """Those that can show their discriminator shifted images."""


def signs_of(seen: Observation, before: Sequence[Line], remedies: Remedies) -> list[Sign]:
    """Return the signs in what was seen after an epoch; `before` are the lines of the epochs before it, oldest first."""
    known = [(ratio, line.get("epoch")) for line in before if isinstance(ratio := line.get("frechet_ratio"), float)]
    best_ratio, best_epoch = min(known, key=lambda of_line: of_line[0], default=(math.inf, None))
    recent = PROGRESS_EPOCHS - 1
    earlier = [ratio for ratio, _ in known[:-recent]]
    latest = min([seen.frechet_ratio, *(ratio for ratio, _ in known[-recent:])])
    is_better = not earlier or latest <= BETTER_FACTOR * min(earlier)
    if len(before) < YOUNG_EPOCHS and is_better:
        return []
    looks: tuple[Callable[[], list[Sign]], ...] = (
        lambda: _missing_classes(seen.classes, before, remedies),
        lambda: _classes_all_alike(seen.classes),
        lambda: _won(seen, is_better, remedies),
        lambda: _lost(seen),
        lambda: _known_by_heart(seen, remedies),
        lambda: _worse(seen, best_ratio, best_epoch),
    )
    return [sign for look in looks for sign in look()]


def standing_signs(lines: Sequence[Line]) -> dict[str, str]:
    """Return the signs that were there in the last two epochs of these lines, as keys with the words of the last epoch."""
    if len(lines) < 2:
        return {}
    before, last = (_signs_in(line) for line in lines[-2:])
    return {key: words for key, words in last.items() if key in before}


def merged(signs: Sequence[Sign]) -> list[Sign]:
    """Return the signs with those of one kind made one, so that ten classes take no ten lines."""
    together: dict[str, list[Sign]] = {}
    for sign in signs:
        together.setdefault(sign.kind, []).append(sign)
    return [alike[0] if len(alike) == 1 else _joined(alike) for alike in together.values()]


def _joined(signs: Sequence[Sign]) -> Sign:
    kind, names = signs[0].kind, [called(sign.class_name or "") for sign in signs]
    states = {"alike": "have images that are too much alike"}
    return Sign(kind, None, f"{', '.join(names)} {states.get(kind, f'are {kind}')}", signs[0].advice)


def _signs_in(line: Line) -> dict[str, str]:
    signs = line.get("signs")
    return {str(key): str(words) for key, words in signs.items()} if isinstance(signs, dict) else {}


def _missing_classes(classes: Sequence[ClassView], before: Sequence[Line], remedies: Remedies) -> list[Sign]:
    advice = "a lower --lr, a larger --batch-size or another --seed"
    if not remedies.is_conditional:
        advice += f"; {' and '.join(remedies.conditional_presets)} are told which class to draw"
    signs = []
    for view in classes:
        if view.real_images < LEAST_REAL_IMAGES or view.share >= MISSING_SHARE * view.real_share:
            continue
        was_there = any(_share_of(line, view.name) >= PRESENT_SHARE * view.real_share for line in before)
        kind = "vanishing" if was_there else "missing"
        told = (
            f"{called(view.name)} is {kind}: {view.share:.1%} of the images are taken for it, of real ones {view.real_share:.1%}"
        )
        signs.append(Sign(kind, view.name, told, advice))
    return signs


def _share_of(line: Line, name: str) -> float:
    shares = line.get("class_shares")
    return float(shares.get(name, 0.0)) if isinstance(shares, dict) else 0.0


def _classes_all_alike(classes: Sequence[ClassView]) -> list[Sign]:
    """Look for classes whose images hardly differ; a class that is missing has none to look at."""

    def whose(view: ClassView) -> str:
        return f"the images of {called(view.name)}" if len(classes) > 1 else "the images"

    return [
        Sign(
            "alike",
            view.name,
            f"{whose(view)} are too much alike: two of them are {view.variety:.0%} as far apart as real ones",
            "a lower --lr, a larger --batch-size or another --seed",
        )
        for view in classes
        if view.variety is not None and view.share >= MISSING_SHARE * view.real_share and view.variety < LEAST_VARIETY
    ]


def _won(seen: Observation, is_better: bool, remedies: Remedies) -> list[Sign]:
    named = seen.pairs.named_held_out
    if named < ALL_PAIRS or is_better:
        return []
    told = f"the discriminator has won: it names the real one of {named:.1%} of pairs, and the images get no better"
    help_from_penalty = "more --set gradient_penalty=..."
    if not remedies.has_penalty:
        help_from_penalty = f"{' or '.join(remedies.penalized_presets)}, which hold it back"
    return [Sign("won", None, told, f"a lower --lr, or {help_from_penalty}")]


def _lost(seen: Observation) -> list[Sign]:
    named = seen.pairs.named_held_out
    if named > NO_PAIRS or seen.frechet_ratio < ROUGH_RATIO:
        return []
    told = f"the discriminator has lost: it names the real one of {named:.1%} of pairs, though the images are rough"
    return [Sign("lost", None, told, "another --lr, or a lower --set gradient_penalty=... where there is one")]


def _known_by_heart(seen: Observation, remedies: Remedies) -> list[Sign]:
    pairs = seen.pairs
    if pairs.named_training - pairs.named_held_out < BY_HEART_GAP:
        return []
    told = (
        f"the discriminator knows its training images by heart: it names the real one of {pairs.named_training:.1%} of pairs "
        f"with those, but of {pairs.named_held_out:.1%} with images that it never saw"
    )
    shifting = " and ".join(remedies.shifting_presets)
    return [Sign("by heart", None, told, f"more images, fewer --epochs, or in {shifting} more --set shifted_share=...")]


def _worse(seen: Observation, best_ratio: float, best_epoch: object) -> list[Sign]:
    if seen.frechet_ratio <= WORSE_FACTOR * best_ratio:
        return []
    told = f"the images get worse: Frechet ratio {seen.frechet_ratio:.3g}, after {best_ratio:.3g} in epoch {best_epoch}"
    return [Sign("worse", None, told, "stop here (Ctrl-C), for the best epoch is kept; then a lower --lr")]


def called(name: str) -> str:
    """Return how a class is spoken of: digits as such, others by their names in quotes."""
    return f"digit {name}" if len(name) == 1 and name.isdigit() else f"class {name!r}"


def sight(line: Mapping[str, object]) -> str:
    """Return the figures of an epoch as `stats.jsonl` holds them, each with its worst class; "" if it has none of them."""
    parts = []
    shares = line.get("class_shares")
    if isinstance(shares, dict) and len(shares) > 1:
        (least, rarest), (most, commonest) = (find((share, name) for name, share in shares.items()) for find in (min, max))
        parts.append(f"classes {least:.1%} ({called(rarest)}) to {most:.1%} ({called(commonest)})")
    for figure in ("coverage", "variety"):
        table = line.get(figure)
        if not isinstance(table, dict):
            continue
        known = [(value, name) for name, value in table.items() if value is not None]
        if known:
            worst, name = min(known)
            parts.append(f"{figure} {worst:.2f}" + (f" at least ({called(name)})" if len(table) > 1 else ""))
    held_out, trained_on = line.get("pairs_named_held_out"), line.get("pairs_named_training")
    if isinstance(held_out, float) and isinstance(trained_on, float):
        parts.append(f"D names {held_out:.0%} of pairs, {trained_on:.0%} of those it trains on")
    return "  ".join(parts)
