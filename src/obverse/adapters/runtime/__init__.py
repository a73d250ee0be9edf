"""Runtimes: the real one, and one that replays a seed."""
