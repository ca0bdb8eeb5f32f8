"""An animation that walks from each of the first images to the next and back to the first."""

from pathlib import Path

from pocketgan.drawing import Drawing
from pocketgan.finish import finished_image
from pocketgan.output.gif_file import write_gif
from pocketgan.output.sheet import shown_scale
from pocketgan.walks import walk

MOST_STATIONS = 100
"""Images that a walk goes through, the first ones."""

_STEPS = 16
_FRAME_MILLISECONDS = 60  # a step of a second, about


def write_walk(target: Path, drawing: Drawing) -> None:
    """Write a walk through the first images or rows of a drawing, which are among its frames pixel for pixel.

    Images of the model's own size are shown up to four times as large. Raises RequestError for a single image, and OutputError if
    the file cannot be written.
    """
    selection, stations = drawing.selection, drawing.selection.indices[:MOST_STATIONS]
    labels = drawing.labels(stations)
    frames = walk(
        drawing.generator,
        stations,
        drawing.characters,
        None if labels is None else labels.reshape(len(stations), drawing.characters),
        selection.seed,
        selection.truncation,
        _STEPS,
    )
    scale = shown_scale(drawing.size[0]) if selection.height is None else 1
    shown = (finished_image(frame, selection.height, selection.is_inverted) for frame in frames)
    write_gif(target, shown, scale, _FRAME_MILLISECONDS)
