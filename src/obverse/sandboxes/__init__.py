"""Outside systems, doubled at the wire: servers on loopback that behave as their makers document."""
