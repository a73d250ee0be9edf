"""Ports: what we ask of the outside, as protocols."""
