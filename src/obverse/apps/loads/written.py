"""Mappings as YAML files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from obverse.core.loads import BadMapping, Mapping, from_tree, to_tree


def read_mapping(path: Path, columns: Sequence[str]) -> Mapping:
    """
    Read a mapping for a file that has these columns.

    Raises:
        BadMapping: it cannot be read, or does not fit them.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadMapping(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise BadMapping(f"{path} is no YAML: {error}") from error
    try:
        return from_tree(tree, columns)
    except BadMapping as error:
        raise BadMapping(f"{path}: {error}") from error


def write_mapping(path: Path, mapping: Mapping) -> None:
    """
    Write a mapping down.

    Raises:
        BadMapping: it cannot be written there.
    """
    try:
        path.write_text(yaml.safe_dump(to_tree(mapping), sort_keys=False, allow_unicode=True), encoding="utf-8")
    except OSError as error:
        raise BadMapping(f"{path} cannot be written: {error.strerror}") from error
