"""The simulator's own clock: real time plus an offset, or standing still."""

import os
import tempfile
from datetime import UTC, datetime, timedelta
from typing import Any, Self


class Dial:
    """Where frozen time can be read by other processes of this machine, as text, without a request.

    Attributes:
        path: Of a file that is empty while time runs, and gone when this process has ended: Linux has such names.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as there is a dial
        self.path = f"/proc/{os.getpid()}/fd/{self._file.fileno()}"

    def show(self, moment: datetime | None) -> None:
        """Show a moment, in UTC; None while time runs."""
        text = moment.isoformat(timespec="microseconds") if moment else ""
        self._file.seek(0)
        self._file.write(text.encode())  # always of one length: nobody reads a half of it
        self._file.truncate()


class WorldClock:
    """Tells the simulated time, which can be moved and frozen.

    A frozen clock makes the world deterministic: the same seed at the same moment gives the same bytes.
    """

    def __init__(self, dial: Dial, start: datetime | None = None, *, frozen: bool = False) -> None:
        self._dial = dial
        self._offset = timedelta()
        self._stop_at(None)
        if frozen:
            self._stop_at(start or datetime.now(UTC))
        elif start is not None:
            self.set(start)

    def _stop_at(self, moment: datetime | None) -> None:
        self._frozen_at = moment
        self._dial.show(moment)

    def now(self) -> datetime:
        """Return the simulated time, in UTC."""
        if self._frozen_at is not None:
            return self._frozen_at
        return datetime.now(UTC) + self._offset

    @property
    def is_frozen(self) -> bool:
        """Whether time stands still until it is moved."""
        return self._frozen_at is not None

    def advance(self, by: timedelta) -> None:
        """Move the clock; a negative step moves it back."""
        if self._frozen_at is not None:
            self._stop_at(self._frozen_at + by)
        else:
            self._offset += by

    def set(self, to: datetime) -> None:
        """Move the clock to a moment; it stays frozen if it was."""
        self.advance(to.astimezone(UTC) - self.now())
        if self._frozen_at is not None:
            self._stop_at(to.astimezone(UTC))

    def freeze(self) -> None:
        """Let time stand still at the present moment."""
        self._stop_at(self.now())

    def thaw(self) -> None:
        """Let time run again from where it stood."""
        if self._frozen_at is not None:
            self._offset = self._frozen_at - datetime.now(UTC)
            self._stop_at(None)

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` needs to go on after a restart."""
        return {
            "offset_seconds": self._offset.total_seconds(),
            "frozen_at": self._frozen_at.isoformat() if self._frozen_at else None,
        }

    @classmethod
    def from_json(cls, dial: Dial, saved: dict[str, Any]) -> Self:
        """Return the clock that `as_json` described."""
        clock = cls(dial)
        clock._offset = timedelta(seconds=saved["offset_seconds"])
        if saved["frozen_at"]:
            clock._stop_at(datetime.fromisoformat(saved["frozen_at"]))
        return clock
