"""Processes and doors that people use."""
