"""Adapters: one brand a file or folder, found by entry point."""
