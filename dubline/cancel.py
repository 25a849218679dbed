"""Cooperative cancellation: long calls poll a flag at least every half second."""

from __future__ import annotations

import threading

from dubline.errors import Cancelled


class StopToken:
    """A flag that one thread sets and every long call of the run polls."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        self._event.clear()

    def is_set(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` when the flag is set."""
        if self._event.is_set():
            raise Cancelled("The work was cancelled.", hint="Run it again to take up where it stopped.")


STOP = StopToken()
"""The process-wide flag: a flow run owns its process, so one flag serves all of its threads."""
