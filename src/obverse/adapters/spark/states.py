"""
Spark's state variables, as a bucket's shelf and mark. Runs where pyspark is.

pyspark writes a map's values one by one, and waits for an answer after each. Here many are sent before the first answer
is read, in the same messages: that is what makes a shelf of many small values cheap enough. It leans on what pyspark
does inside, so the version is fixed in requirements-spark.in, and a test with the real one proves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from struct import Struct
from typing import Any, Final

from pyspark.sql.streaming.proto import StateMessage_pb2 as messages

_AT_ONCE: Final = 256
"""Messages that are sent before their answers are read; these are short, so neither side waits for the other."""
_HEAD: Final = Struct("!ii")
"""Version of the protocol, length of the message."""


class StateRefused(Exception):
    """Spark did not write to its state store; the message is Spark's."""


class SparkMap:
    """A `StateMap` over a `MapState` of two binary columns."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def read(self, key: bytes) -> bytes | None:
        """See `StateMap.read`."""
        found = self._state.getValue((key,))
        return None if found is None else bytes(found[0])

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See `StateMap.entries`."""
        return ((bytes(key[0]), bytes(value[0])) for key, value in self._state.iterator())

    def write(self, entries: Mapping[bytes, bytes | None]) -> None:
        """See `StateMap.write`."""
        client = self._state._mapStateClient._stateful_processor_api_client  # noqa: SLF001 - see above
        name = self._state._stateName  # noqa: SLF001 - see above
        left = iter(entries.items())
        while some := list(islice(left, _AT_ONCE)):
            for key, value in some:
                message = _message(name, client.pickleSer, key, value)
                client.sockfile.write(_HEAD.pack(0, len(message)))
                client.sockfile.write(message)
            client.sockfile.flush()
            answers = [client._receive_proto_message() for _ in some]  # noqa: SLF001 - see above
            for status, reason, _ in answers:
                if status:
                    raise StateRefused(f"Spark's state store did not take a value: {reason}")


class SparkMark:
    """A `Mark` over a `ValueState` of one binary column."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def read(self) -> bytes | None:
        """See `Mark.read`."""
        found = self._state.get()
        return None if found is None else bytes(found[0])

    def write(self, value: bytes) -> None:
        """See `Mark.write`."""
        self._state.update((value,))


def _message(name: str, pickling: Any, key: bytes, value: bytes | None) -> bytes:
    """One request, as `MapStateClient.update_value` and `remove_key` build it."""
    named = pickling.dumps((key,))
    if value is None:
        call = messages.MapStateCall(stateName=name, removeKey=messages.RemoveKey(userKey=named))
    else:
        update = messages.UpdateValue(userKey=named, value=pickling.dumps((value,)))
        call = messages.MapStateCall(stateName=name, updateValue=update)
    asked = messages.StateRequest(stateVariableRequest=messages.StateVariableRequest(mapStateCall=call))
    return bytes(asked.SerializeToString())
