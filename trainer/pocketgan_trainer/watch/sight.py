"""What was seen after an epoch, in a few words."""

from collections.abc import Mapping

from pocketgan_trainer.watch.signs import called


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
