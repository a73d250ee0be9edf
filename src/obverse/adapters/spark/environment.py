"""Where Spark is: its own Python, its scripts and the jars beside it."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path


class SparkLacking(Exception):
    """Spark cannot be run here; the message says what is missing and how it is got."""


@dataclass(frozen=True, slots=True)
class SparkEnvironment:
    """What processes of Spark are started from."""

    python: Path
    home: Path
    """The folder of the wheel, which Spark calls its home."""
    jars: tuple[Path, ...]
    """Of the connector of Kafka."""

    def script(self, name: str) -> str:
        """One of Spark's own; each becomes the process that it starts."""
        return str(self.home / "bin" / name)

    def variables(self, words: Path, logs: Path, heap_mb: int) -> dict[str, str]:
        """The environment of a process that finds its settings in the folder of words, and stays on this machine."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
        return ours | {
            "SPARK_HOME": str(self.home),
            "SPARK_CONF_DIR": str(words),
            "SPARK_LOG_DIR": str(logs),
            "SPARK_DAEMON_MEMORY": f"{heap_mb}m",
            "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
            "PYSPARK_PYTHON": str(self.python),
            "PYSPARK_DRIVER_PYTHON": str(self.python),
        }


def find_spark(home: str = "") -> SparkEnvironment:
    """
    Find Java (JAVA_HOME, else the path) and Spark (`.venv-spark` beside our own environment, if no other is named).

    Raises:
        SparkLacking: one of them is not there.
    """
    folder = Path(home) if home else Path(sys.prefix).parent / ".venv-spark"
    java_home = os.environ.get("JAVA_HOME", "")
    if shutil.which("java", path=f"{java_home}/bin" if java_home else None) is None:
        raise SparkLacking(
            "Spark needs Java 17 or 21, and there is none on the path or in JAVA_HOME: "
            "install it (on Debian: apt-get install openjdk-17-jre-headless)"
        )
    homes = sorted(folder.glob("lib/python3.*/site-packages/pyspark"))
    jars = tuple(sorted((folder / "jars").glob("*.jar")))
    if not homes or not jars:
        raise SparkLacking(
            f"{'Spark' if not homes else 'its connector of Kafka'} is not in {folder}: in a checkout run `make spark`; "
            f"elsewhere install what requirements-spark.lock names into an environment there, and run `mvn -q -f "
            f"{Path(__file__).with_name('pom.xml')} dependency:copy-dependencies -DoutputDirectory={folder / 'jars'}`"
        )
    return SparkEnvironment(folder / "bin" / "python", homes[0], jars)
