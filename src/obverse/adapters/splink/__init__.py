"""Splink on DuckDB: records compared by the model of Fellegi and Sunter, whose parameters the records teach."""

from obverse.adapters.splink.matcher import SplinkSettings, open_matcher

__all__ = ["SplinkSettings", "open_matcher"]
