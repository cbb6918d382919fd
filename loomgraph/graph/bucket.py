"""How fast something may be done, as a bucket that fills: who takes what is not there yet has a place in the queue.

Has no clock: the time is given, in seconds, and never waits: it says for how long to.
"""

from __future__ import annotations

import threading

__all__ = ["Bucket"]


class Bucket:
    """Fills at `rate` a second up to `size`. Taking more than is there is a place in the queue: the wait until then."""

    def __init__(self, rate: float, size: float) -> None:
        self._rate, self._size = rate, size
        self._level, self._at = size, float("-inf")
        self._lock = threading.Lock()

    def take(self, amount: float, now: float) -> float:
        """Seconds until the amount is there; it is taken at once, so that the next one waits behind it."""
        with self._lock:
            if now > self._at:
                filled = 0.0 if self._at == float("-inf") else (now - self._at) * self._rate
                self._level, self._at = min(self._size, self._level + filled), now
            self._level -= amount
            return max(0.0, -self._level / self._rate)
