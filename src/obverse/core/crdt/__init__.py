"""Mergeable values: whatever the order and however often they are merged, the same comes out."""
