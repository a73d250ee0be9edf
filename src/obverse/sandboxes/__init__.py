"""Outside systems on this machine: servers on loopback that behave as their makers document, or are their own."""


class SandboxLacking(Exception):
    """What a sandbox needs is not on this machine; the message says how to get it."""
