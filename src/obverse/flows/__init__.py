"""Flows: what the product does, as verbs."""
