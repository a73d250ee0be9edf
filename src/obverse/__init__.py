"""Obverse: one trustworthy profile per person, and what is done with it."""
