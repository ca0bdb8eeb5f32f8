"""The signs in what is observed of a run that it goes wrong, and what to try then.

Signs come from one epoch and the lines of `stats.jsonl` before it. A single odd epoch is common, so a warning is printed only
after two epochs in a row have the same sign. The limits were chosen by healthy and deliberately broken runs, see
scripts/provoke_failures.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pocketgan_trainer.watch.observation import ClassView, Line, Observation, class_title, common_misjudged

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
TOPOLOGY_MARGIN = 0.05
"""Images are badly formed if the distance of their parts and holes exceeds that of real ones by more than this."""
FEW_STEPS = 1_000
"""A run with fewer steps is too short, whatever else it shows."""
YOUNG_EPOCHS = 4
"""The first epochs, in which all images are rough: there are no signs while the run gets better."""


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
    has_few_steps: bool = False
    """Whether the whole run has fewer than FEW_STEPS."""

    @property
    def against_collapse(self) -> str:
        """What makes a generator draw all classes, and each in many ways."""
        if self.has_few_steps:
            return "more --epochs or a smaller --batch-size"
        return "a lower --lr, a larger --batch-size or another --seed"


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
        *_classes_all_alike(seen.classes, remedies),
        *([] if is_better else [*_badly_formed(seen.classes, remedies), *_torn(seen, remedies), *_won(seen, remedies)]),
        *_lost(seen),
        *_memorized(seen, remedies),
        *_worse(seen, best_ratio, best_epoch),
    ]


def _missing_classes(classes: Sequence[ClassView], before: Sequence[Line], remedies: Remedies) -> list[Sign]:
    advice = remedies.against_collapse
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


def _classes_all_alike(classes: Sequence[ClassView], remedies: Remedies) -> list[Sign]:
    """Return a sign for each class whose images hardly differ, but for missing classes."""
    return [
        Sign(
            "alike",
            view.name,
            f"the images{f' of {class_title(view.name)}' if len(classes) > 1 else ''} are too much alike: "
            f"two of them are {view.variety:.0%} as far apart as real ones",
            remedies.against_collapse,
        )
        for view in classes
        if view.variety is not None and view.share >= MISSING_SHARE * view.real_share and view.variety < LEAST_VARIETY
    ]


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
    what = "ink breaks apart or holes fill up" if topology.excess > 0 else "parts of the ink run together or have too many holes"
    message = (
        f"{what}: {topology.worst_distance:.1%} of the images{of_class} have other numbers of parts and holes than real ones, on "
        f"average {abs(topology.excess):.2f} more {more} or fewer {fewer}"
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
