"""What every mergeable value must prove."""

from __future__ import annotations

import os
from abc import abstractmethod
from copy import deepcopy
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy

LAWS: Final = settings(
    deadline=None,  # a busy machine is no broken law
    max_examples=int(os.environ.get("OBVERSE_EXAMPLES", "15")),  # `make fuzz` tries many more
    suppress_health_check=[HealthCheck.differing_executors],  # each subclass runs the same methods, on its own values
)


class LatticeContract:
    """Subclass, say which values there are and how two merge, and every law is tested."""

    @abstractmethod
    def values(self) -> SearchStrategy[Any]:
        """Values that may meet. The more they have in common, the more is found."""

    @abstractmethod
    def merge(self, one: Any, other: Any) -> Any:
        """Merge two values; may reuse either."""

    def knowledge(self, value: Any) -> Any:
        """Return the part of a value that the laws speak of: all of it, unless some of it is no lattice."""
        return value

    def joined(self, *values: Any) -> Any:
        """Merge copies from left to right."""
        whole = deepcopy(values[0])
        for value in values[1:]:
            whole = self.merge(whole, deepcopy(value))
        return whole

    @LAWS
    @given(st.data())
    def test_merging_commutes(self, data: DataObject) -> None:
        one, other = data.draw(self.values()), data.draw(self.values())
        assert self.knowledge(self.joined(one, other)) == self.knowledge(self.joined(other, one))

    @LAWS
    @given(st.data())
    def test_merging_may_repeat(self, data: DataObject) -> None:
        one, other = data.draw(self.values()), data.draw(self.values())
        assert self.knowledge(self.joined(one, one)) == self.knowledge(one)
        once = self.knowledge(self.joined(one, other))
        assert self.knowledge(self.joined(one, other, other)) == once
        assert self.knowledge(self.joined(one, other, one, other)) == once

    @LAWS
    @given(st.data())
    def test_merging_regroups(self, data: DataObject) -> None:
        one, two, three = (data.draw(self.values()) for _ in range(3))
        assert self.knowledge(self.joined(self.joined(one, two), three)) == self.knowledge(
            self.joined(one, self.joined(two, three))
        )

    @LAWS
    @given(st.data())
    def test_a_larger_state_never_loses_a_write(self, data: DataObject) -> None:
        written, *others = data.draw(st.lists(self.values(), min_size=1, max_size=6))
        grown = deepcopy(written)
        for other in others:
            grown = self.joined(grown, other)
            # Whoever knows what was written learns nothing from being told again.
            assert self.knowledge(self.joined(grown, written)) == self.knowledge(grown)
            assert self.knowledge(self.joined(grown, other)) == self.knowledge(grown)
