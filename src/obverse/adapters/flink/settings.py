"""What is set of Flink, in our words and in those of its own configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from obverse.adapters._buckets.hosted import HostedSettings

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlinkSettings(HostedSettings):
    """The `[engine.flink]` table of the settings file."""

    parallelism: int = 2
    """Tasks that fold. Each keeps one core busy; of more than there are buckets some do nothing."""

    folder: str = "flink"
    """Where checkpoints and savepoints are kept: a path that all processes of Flink share, or what Flink calls one."""

    checkpoint_ms: int = 10_000
    """Between two checkpoints. Seldom ones cost less; after a failure, so much more is folded again."""

    rest: str = ""
    """`host:port` of a session cluster that somebody else runs; empty: one on this machine."""

    home: str = ""
    """Flink's environment; empty: beside ours (`make flink`)."""

    task_managers: int = 2
    """Of the cluster on this machine. Each is a process with one slot, for Python in it has one lock."""

    heap_mb: int = 256
    """Java's heap of a task manager."""

    managed_mb: int = 128
    """What RocksDB has in a task manager, for what it reads and what it has not written yet."""

    job_manager_heap_mb: int = 256

    trait_modules: list[str] = field(default_factory=list)
    """Beginnings of further modules whose kinds of traits may be folded with, such as `acme.traits.`."""

    def __post_init__(self) -> None:
        # Not `super()`: a dataclass with slots is another class than the one that this was written in.
        HostedSettings.__post_init__(self)
        for name, least, most in (
            ("parallelism", 1, 1024),
            ("checkpoint_ms", 100, 600_000),
            ("task_managers", 1, 64),
            ("heap_mb", 128, 65_536),
            ("managed_mb", 64, 1_048_576),
            ("job_manager_heap_mb", 128, 65_536),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"engine.flink.{name} is {getattr(self, name)}: choose {least} to {most}")
        if self.rest and not self.rest.rpartition(":")[2].isdecimal():
            raise ValueError(f"engine.flink.rest is {self.rest!r}: write it as host:port, such as flink:8081")

    def place(self) -> str:
        """The folder, as Flink names it."""
        return self.folder if "://" in self.folder else f"file://{Path(self.folder).absolute()}"


def cluster_configuration(settings: FlinkSettings, *, rpc: int, rest: int, scratch: Path) -> dict[str, Any]:
    """Flink's configuration for the processes of a session cluster on this machine."""
    return {
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": rpc,
        "jobmanager.bind-host": HOST,
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": rest,
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "taskmanager.numberOfTaskSlots": 1,
        "taskmanager.cpu.cores": 1,
        "taskmanager.memory.task.heap.size": f"{settings.heap_mb - 64}m",
        "taskmanager.memory.framework.heap.size": "64m",
        "taskmanager.memory.task.off-heap.size": "0m",
        "taskmanager.memory.framework.off-heap.size": "96m",
        "taskmanager.memory.network.min": "32m",
        "taskmanager.memory.network.max": "32m",
        "taskmanager.memory.managed.size": f"{settings.managed_mb}m",
        "taskmanager.memory.jvm-metaspace.size": "192m",
        "taskmanager.memory.jvm-overhead.min": "64m",
        "taskmanager.memory.jvm-overhead.max": "64m",
        # Goes on with the slots that are left when a task manager dies, and takes more when there are more.
        "jobmanager.scheduler": "adaptive",
        "jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout": "1 s",
        "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout": "1 s",
        "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling": "1 s",
        "heartbeat.interval": "1 s",
        "heartbeat.timeout": "10 s",
        # The processes are ours alone, with all jars on their own class path.
        "classloader.check-leaked-classloader": "false",
        "io.tmp.dirs": scratch,
        "web.tmpdir": scratch,
        "web.upload.dir": scratch,
    }


def job_configuration(settings: FlinkSettings, name: str, python: Path, restore: str) -> dict[str, str]:
    """Flink's configuration for the job of this name; `restore` is a savepoint, a checkpoint, or empty."""
    host, _, port = settings.rest.rpartition(":")
    told = {
        "execution.target": "remote",
        "rest.address": host,
        "rest.port": port,
        "pipeline.name": name,
        "pipeline.auto-watermark-interval": "0 ms",
        # Python within the task manager's own process: over sockets, to touch a profile costs a hundred times as much.
        "python.execution-mode": "thread",
        "python.executable": str(python),
        "python.client.executable": str(python),
        "state.backend.type": "rocksdb",
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.interval": f"{settings.checkpoint_ms} ms",
        "execution.checkpointing.min-pause": f"{settings.checkpoint_ms // 2} ms",
        "execution.checkpointing.dir": f"{settings.place()}/checkpoints",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.tolerable-failed-checkpoints": "100",
        "execution.buffer-timeout.interval": "5 ms",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "200 ms",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
    }
    return told | ({"execution.state-recovery.path": restore} if restore else {})
