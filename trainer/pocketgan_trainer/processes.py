"""The processes that train one run together, as `torchrun` starts them, seen from one of them.

Each takes its rows of every batch. What is drawn at random for a batch is drawn for all of it by each of them, from the same
random state, and then divided: so the run is the same, however many they are, and a checkpoint holds one state for all.
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
"""For a process that does more than the others, such as looking at images. One that has ended is noticed at once."""
_SIGNS_OF_LOSS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Connection refused", "gloo")


@dataclass(frozen=True)
class Processes:
    """Which of how many this one is."""

    rank: int
    """From 0; the first alone writes, tells and scores."""
    count: int
    rank_here: int
    """Its number among those on this machine, from 0: that of its GPU."""
    count_here: int
    """How many share this machine."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes, tells and scores."""
        return self.rank == 0

    def own(self, rows: Tensor) -> Tensor:
        """Return this process's share of a tensor [count * N, ...] that all have alike: [N, ...]."""
        each = len(rows) // self.count
        return rows[self.rank * each :][:each]

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of all processes' values, without gradients; each must ask."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.count

    def agree(self, is_so: bool) -> bool:
        """Return whether it is so in any of the processes; each must ask."""
        if self.count == 1:
            return is_so
        answers = torch.tensor(float(is_so))
        distributed.all_reduce(answers)
        return bool(answers > 0)

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """Have the first process do the block before the others begin with it; all must come here.

        If the first fails in it, the others do not begin: OtherProcessError is raised there.
        """
        if not self.is_first and self.agree(False):
            raise OtherProcessError("the first process failed; see what it said")
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
        """Have the processes find one another, for the block. Raises OtherProcessError if one is lost in it."""
        if self.count == 1:
            yield
            return
        # Of each collective, tensors on the CPU go by gloo, those on GPUs by nccl.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            distributed.init_process_group(backend, timeout=_PATIENCE)
            yield
            self.agree(False)  # together, or the quickest would leave while the others still speak with it
        except RuntimeError as error:
            if not isinstance(error, distributed.DistError) and not any(sign in str(error) for sign in _SIGNS_OF_LOSS):
                raise
            raise OtherProcessError(f"process {self.rank} of {self.count} lost another one: {first_line(error)}") from error
        # Not after an error: to take leave of processes that are no longer listening may last for ever.
        distributed.destroy_process_group()


ALONE = Processes(rank=0, count=1, rank_here=0, count_here=1)


def processes_of_environment() -> Processes:
    """Return what `torchrun` says in the environment of a process that it starts; without it, this process is alone.

    Raises TrainingError if what it says makes no sense.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    said = {name: os.environ.get(name) for name in (*names, "MASTER_ADDR", "MASTER_PORT")}
    if said["RANK"] is None or said["WORLD_SIZE"] in (None, "1"):
        return ALONE
    try:
        rank, count, rank_here, count_here = (int(said[name] or "") for name in names)
    except ValueError:
        rank, count, rank_here, count_here = -1, 0, -1, 0
    if not (0 <= rank < count and 0 <= rank_here < count_here <= count) or None in said.values():
        told = ", ".join(f"{name}={value}" for name, value in said.items())
        raise TrainingError(f"the environment says {told}: expected what torchrun sets; unset them, or start with torchrun")
    return Processes(rank, count, rank_here, count_here)
