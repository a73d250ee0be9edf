"""Benchmarks: each returns its figures with the settings and the peak memory they were taken with."""
