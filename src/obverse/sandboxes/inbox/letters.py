"""A mail as it comes over SMTP: lines until one that is a dot."""

from __future__ import annotations

from typing import Final

_END: Final = b"\r\n.\r\n"
_LINE_END: Final = b"\r\n"


class Letter:
    """
    Takes what comes after DATA, piece by piece, however it was cut.

    A mail that is too large is read to its end and not kept. Its lines may be of any length.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        # As if a line had ended before: a mail may be nothing but the dot.
        self._held = bytearray(_LINE_END)
        self.too_large = False

    def feed(self, piece: bytes) -> bytes | None:
        """Take the next bytes. None until the last dot has come; then what follows it."""
        searched = max(0, len(self._held) - len(_END) + 1)
        self._held += piece
        end = self._held.find(_END, searched)
        if end < 0:
            self._weigh()
            return None
        rest = bytes(memoryview(self._held)[end + len(_END) :])
        del self._held[end + len(_LINE_END) :]
        self._weigh()
        return rest

    def content(self) -> bytes:
        """The whole mail as its sender wrote it, without the dots that SMTP adds."""
        if b"\r\n." in self._held:
            self._held = self._held.replace(b"\r\n.", _LINE_END)
        with memoryview(self._held) as held:
            return bytes(held[len(_LINE_END) :])

    def _weigh(self) -> None:
        over = len(self._held) - len(_LINE_END) - self._most
        # The dots that SMTP adds do not count.
        if over > 0 and (self.too_large or over > self._held.count(b"\r\n.")):
            self.too_large = True
            del self._held[: -len(_END) + 1]
