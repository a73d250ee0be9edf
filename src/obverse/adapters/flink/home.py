"""Where Flink is: an environment beside ours, with its own Python, its jars, and the machine's Java."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path


class FlinkLacking(Exception):
    """Flink is not on this machine; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class FlinkHome:
    """What runs Flink."""

    java: str
    folder: Path
    """Of a virtual environment with `apache-flink` in it, and the jars that read and write Kafka in `jars`."""
    packages: Path
    """Its `site-packages`."""

    @property
    def python(self) -> Path:
        """The interpreter that task managers are to import with."""
        return self.folder / "bin" / "python"

    @property
    def flink(self) -> Path:
        """What Flink's own scripts call FLINK_HOME."""
        return self.packages / "pyflink"

    def jars(self) -> list[Path]:
        """All that is on the class path of every process, so that no job has to bring it."""
        own = sorted((self.flink / "lib").glob("*.jar")) + sorted((self.flink / "opt").glob("flink-python*.jar"))
        return own + sorted((self.folder / "jars").glob("*.jar"))

    def environ(self) -> dict[str, str]:
        """The environment variables of every process."""
        return dict(os.environ) | {
            # Python inside of the JVM finds its own half by this alone.
            "PYTHONPATH": str(self.packages),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
            "FLINK_HOME": str(self.flink),
            "FLINK_PLUGINS_DIR": str(self.flink / "plugins"),
            # Many threads that come and go would each keep some of it.
            "MALLOC_ARENA_MAX": "2",
        }


def find_home(folder: str = "") -> FlinkHome:
    """
    Find Flink in a folder, else beside our own environment, and Java in JAVA_HOME or on the path.

    Raises:
        FlinkLacking: one of them is not there.
    """
    home = Path(folder) if folder else Path(f"{sys.prefix}-flink")
    packages = next(iter(sorted(home.glob("lib/python3.*/site-packages"))), None)
    if (
        packages is None
        or not (packages / "pyflink").is_dir()
        or not any((home / "jars").glob("flink-connector-*.jar"))
    ):
        raise FlinkLacking(
            f"Apache Flink is not in {home}: in a checkout run `make flink`, elsewhere see docs/flink.md for what the "
            "folder needs, and name it in the setting engine.flink.home"
        )
    java_home = os.environ.get("JAVA_HOME", "")
    java = shutil.which("java", path=f"{java_home}/bin") if java_home else shutil.which("java")
    if java is None:
        raise FlinkLacking(
            "Flink needs Java 17, and there is none on the path or in JAVA_HOME: install it (on Debian: "
            "apt-get install openjdk-17-jre-headless)"
        )
    return FlinkHome(java, home, packages)
