"""The processes of a session cluster: a job manager and task managers, each a JVM that dies with us."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from obverse.adapters.flink.home import FlinkHome

JOB_MANAGER: Final = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER: Final = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_STOP: Final = 10.0
"""Seconds that a process gets to end by itself."""
_DIE_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""

_OPEN: Final = (
    *("lang", "net", "io", "nio", "lang.reflect", "text", "time", "util"),
    *("util.concurrent", "util.concurrent.atomic", "util.concurrent.locks"),
)
OPENED: Final = (
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    *(f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in _OPEN),
)
"""What Flink looks into of Java itself, as in the configuration that it is shipped with."""

LOG: Final = "obverse.log"
"""The Java property that says where a process logs; without it Log4j makes a file of this name where it was started."""

LOGGING: Final = f"""\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
appender.file.name = File
appender.file.type = RollingFile
appender.file.fileName = ${{sys:{LOG}}}
appender.file.filePattern = ${{sys:{LOG}}}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %-5p %c{{1}} - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
"""


@dataclass(slots=True)
class JavaProcess:
    """One of them. What it logs is in `name.log` of its folder, what it prints in `name.out`."""

    name: str
    main: str
    heap_mb: int
    direct_mb: int
    home: FlinkHome
    folder: Path
    """With Flink's configuration in `conf`."""
    options: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def pid(self) -> int:
        """Of its process; 0 before the first start."""
        return 0 if self.process is None else self.process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it; it dies with us."""
        conf = self.folder / "conf"
        words = [
            *(self.home.java, f"-Xmx{self.heap_mb}m", f"-Xms{self.heap_mb}m", "-XX:+UseSerialGC"),
            *("-XX:MaxMetaspaceSize=192m", f"-XX:MaxDirectMemorySize={self.direct_mb}m", *self.options, *OPENED),
            f"-Djava.io.tmpdir={self.folder / 'scratch'}",
            f"-Dlog4j.configurationFile={conf / 'log4j.properties'}",
            # Not as `log.file`: RocksDB's own logs would go beside it, each named by the path of its state; of the
            # states that are made while a job is rescaled that can be longer than a file's name may be.
            f"-D{LOG}={self.folder / self.name}.log",
            *("-cp", ":".join(map(str, self.home.jars())), self.main, "--configDir", str(conf)),
        ]
        with Path(f"{self.folder / self.name}.out").open("ab") as printed:
            self.process = subprocess.Popen(  # noqa: S603 - our own words
                words,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                env=self.home.environ() | {"FLINK_CONF_DIR": str(conf)},
                # A Ctrl-C on the terminal is for us alone: we stop it once nobody needs it any more.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - as said there
            )

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Let it end in good order, or kill it; blocks until it has."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self.kill()

    def last_words(self) -> str:
        """The end of what it logged and printed."""
        words = [Path(f"{self.folder / self.name}.{kind}") for kind in ("log", "out")]
        return "\n".join(one.read_text(errors="replace")[-2000:] for one in words if one.exists())


def _die_with_parent() -> None:
    """Have the kernel end us when our parent ends, however it ends; nothing here takes a lock."""
    _libc.prctl(_DIE_WITH_PARENT, signal.SIGTERM)


_libc = ctypes.CDLL(None)
