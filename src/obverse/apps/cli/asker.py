"""Who asks, as it is noted for whoever looks at it later."""

from __future__ import annotations

import getpass
import os
import socket


def asker() -> str:
    """Return the user and the machine; of a user without a name, as in many a container, the number."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"
