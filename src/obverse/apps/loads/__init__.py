"""Loads: what lies between a file of rows and the collector: HTTP, the note of how far it came, the reject file."""
