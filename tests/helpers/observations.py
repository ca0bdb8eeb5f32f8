"""Observations for tests: ten digits as a healthy run draws them, but for what a test changes."""

from collections.abc import Sequence

from pocketgan_trainer.watch.observation import ClassView, Observation, Pairs, Texture, Topology
from pocketgan_trainer.watch.signs import Sign

DIGITS = tuple("0123456789")


def class_view(
    name: str,
    share: float = 0.1,
    real_share: float = 0.1,
    real_images: int = 500,
    coverage: float | None = 0.9,
    variety: float | None = 0.9,
    misjudged: float | None = None,
    real_misjudged: float = 0.004,
) -> ClassView:
    """Return a class, healthy unless a test says otherwise."""
    return ClassView(name, share, real_share, real_images, coverage, variety, misjudged, real_misjudged)


def observation(
    frechet_ratio: float = 2.0,
    changed: Sequence[ClassView] = (),
    named_training: float = 0.75,
    named_held_out: float = 0.75,
    names: Sequence[str] = DIGITS,
    texture: Texture | None = None,
    topology: Topology | None = None,
) -> Observation:
    """Return an observation of healthy classes of these names, of which some were `changed`: those take the places of theirs."""
    instead = {view.name: view for view in changed}
    pairs = Pairs(named_training, named_held_out, lead_training=1.0, lead_held_out=0.5)
    views = tuple(instead.get(name, class_view(name)) for name in names)
    return Observation(frechet_ratio, views, pairs, texture, topology)


def line_of(epoch: int, seen: Observation, signs: Sequence[Sign] = ()) -> dict[str, object]:
    """Return the line of `stats.jsonl` that a run writes after an epoch."""
    return {
        "epoch": epoch,
        "images_seen": 1000 * epoch,
        "seconds": 12.34,
        "planned_epochs": 9,
        "generator_loss": 0.8,
        "discriminator_loss": 0.6,
        "real_score": 0.7,
        "fake_score": 0.3,
        **seen.to_statistics(),
        "skipped_steps": 0,
        "signs": {sign.key: sign.message for sign in signs},
    }
