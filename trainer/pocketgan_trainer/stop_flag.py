"""Ctrl-C and SIGTERM as a request that a loop can heed at a good moment."""

import signal
import sys
from contextlib import suppress
from types import FrameType


class StopFlag:
    """Remembers the first SIGINT or SIGTERM; a second one acts at once."""

    def __init__(self, is_silent: bool = False) -> None:
        self.signal: int | None = None
        """Number of the signal that came, None before."""
        self._is_silent = is_silent

    def install(self) -> None:
        """Take over both signals, for the rest of the process's life."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def __call__(self) -> bool:
        """Say whether a signal has come."""
        return self.signal is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._is_silent:
            return
        # Whoever reads our messages may have gone by the same Ctrl-C, or be in the middle of a line: saving goes before telling.
        with suppress(OSError, RuntimeError):
            print("stopping after this step; once more to stop without saving", file=sys.stderr)
