"""The collector: the HTTP door that SDKs send to."""

from obverse.apps.collector.app import REPORT, CollectorApp
from obverse.apps.collector.endpoints import SENDING

__all__ = ["REPORT", "SENDING", "CollectorApp"]
