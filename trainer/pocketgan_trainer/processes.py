"""The processes that train one run together, started by `torchrun`.

Each process trains on its own rows of every batch. It draws the random numbers of the whole batch, from the same random state as
the others, and uses its own rows of them. So a run is the same for any number of processes, and one random state is enough to
resume it; but with a canvas, each process compares the images of a class, and chooses soft scans, among its own rows.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from pocketgan.errors import first_line
from pocketgan_trainer.errors import OtherProcessError, TrainingError

_PATIENCE = timedelta(days=1)
"""The timeout of processes that wait while the first one evaluates images. A process that has ended is noticed at once."""
_SIGNS_OF_LOSS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Connection refused", "gloo")


@dataclass(frozen=True)
class Processes:
    """The number of processes, and the place of this one among them."""

    rank: int
    """From 0; only rank 0 writes, prints and evaluates."""
    count: int
    rank_here: int
    """The rank among the processes on this machine, from 0; also the index of its GPU."""
    count_here: int
    """The number of processes on this machine."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes, prints and evaluates."""
        return self.rank == 0

    def own(self, rows: Tensor) -> Tensor:
        """Return this process's rows, [N, ...], of a tensor [count * N, ...] that is the same in all processes."""
        each = len(rows) // self.count
        return rows[self.rank * each :][:each]

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of all processes' values, without gradients; every process must call this."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.count

    def agree(self, is_so: bool) -> bool:
        """Return whether `is_so` is true in any process; every process must call this."""
        if self.count == 1:
            return is_so
        answers = torch.tensor(float(is_so))
        distributed.all_reduce(answers)
        return bool(answers > 0)

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """Run the block in the first process, then in the others; every process must enter it.

        If the block fails in the first process, the others raise OtherProcessError instead of running it.
        """
        if not self.is_first and self.agree(False):
            raise OtherProcessError("the first process failed; see its message")
        try:
            yield
        except BaseException:
            if self.is_first:
                self.agree(True)
            raise
        if self.is_first:
            self.agree(False)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Connect the processes while the block runs. Raises OtherProcessError if one of them ends early."""
        if self.count == 1:
            yield
            return
        # gloo for tensors on the CPU, nccl for those on GPUs.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            distributed.init_process_group(backend, timeout=_PATIENCE)
            yield
            self.agree(False)  # so that no process ends while others still need its answers
        except RuntimeError as error:
            if not isinstance(error, distributed.DistError) and not any(sign in str(error) for sign in _SIGNS_OF_LOSS):
                raise
            raise OtherProcessError(f"process {self.rank} of {self.count} lost another one: {first_line(error)}") from error
        # Not after an error: this could wait forever for processes that have ended.
        distributed.destroy_process_group()


ALONE = Processes(rank=0, count=1, rank_here=0, count_here=1)


def processes_of_environment() -> Processes:
    """Return the processes that the environment variables of `torchrun` describe; ALONE if there are none.

    Raises TrainingError if the variables are incomplete or contradict each other.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    found = {name: os.environ.get(name) for name in (*names, "MASTER_ADDR", "MASTER_PORT")}
    if found["RANK"] is None or found["WORLD_SIZE"] in (None, "1"):
        return ALONE
    try:
        rank, count, rank_here, count_here = (int(found[name] or "") for name in names)
    except ValueError:
        rank, count, rank_here, count_here = -1, 0, -1, 0
    if not (0 <= rank < count and 0 <= rank_here < count_here <= count) or None in found.values():
        shown = ", ".join(f"{name}={value}" for name, value in found.items())
        raise TrainingError(f"the environment says {shown}: expected what torchrun sets; unset them, or start with torchrun")
    return Processes(rank, count, rank_here, count_here)
