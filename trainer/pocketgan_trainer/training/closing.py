"""What a finished run says at its end."""

from shlex import quote

from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.watch.sight import sight
from pocketgan_trainer.watch.signs import standing_signs


def closing_lines(run: RunFolder, epochs: int, best_epoch: int, is_newest: bool) -> list[str]:
    """Return the lines that end a run of `epochs` epochs: the best one, how good it is, what to look at, what to do next.

    `is_newest` tells whether gan-export finds the run by itself. What statistics do not tell, since someone took them away, is
    left out. Raises TrainingError if they cannot be read.
    """
    lines = run.read_statistics()
    best = [line for line in lines if line.get("epoch") == best_epoch]
    told = [f"done: the best epoch is {best_epoch} of {epochs}, its checkpoint {run.best}"]
    for line in best:
        ratio = line.get("frechet_ratio")
        scores = [f"Frechet ratio {ratio:.3f} (real images: 1)"] if isinstance(ratio, float) else []
        scores += [sight(line)] if sight(line) else []
        if scores:
            told.append(f"its scores: {'  '.join(scores)}")
    told += [f"warning: at the end still: {words}" for words in standing_signs(lines).values()]
    pictures = [path for path in (run.curves, run.sheet_of_epoch(best_epoch)) if path.exists()]
    if pictures:
        told.append(f"look at: {', '.join(map(str, pictures))}")
    told.append(f"next: gan-export model.onnx{'' if is_newest else f' --checkpoint {quote(str(run.path))}'}")
    return told
