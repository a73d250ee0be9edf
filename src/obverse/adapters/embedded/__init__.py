"""The embedded engine: one worker process, profiles in memory, checkpoints in the profile store."""

from obverse.adapters.embedded.engine import EmbeddedEngine, EmbeddedSettings, open_engine

__all__ = ["EmbeddedEngine", "EmbeddedSettings", "open_engine"]
