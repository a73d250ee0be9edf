"""Suites that every adapter must pass; subclass one in a ten-line test."""
