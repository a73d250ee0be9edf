"""
structlog without rich: what it imports for coloured tracebacks, which nobody here prints, takes 0.4 s of a start.

structlog does without rich where there is none, so there is none while it is imported. Import this before structlog.
"""

from __future__ import annotations

import sys

if "structlog" not in sys.modules and "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python says that a module is not to be had
    try:
        import structlog  # noqa: F401 - imported for those who come after
    finally:
        del sys.modules["rich"]
