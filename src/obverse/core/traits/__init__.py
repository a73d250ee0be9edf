"""Traits: values that we compute from events."""
