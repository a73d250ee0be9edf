"""Histories computed in batch: a changed trait for everybody, from the archive and the log."""
