"""Adapters that keep everything in memory: for tests, simulations and trying things out."""
