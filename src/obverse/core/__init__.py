"""Pure rules and mergeable values: no I/O, no clock, no dice."""
