"""What is set of Flink, in our words and in those of its own configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from obverse.adapters._buckets.items import BUCKETS

HOST: Final = "127.0.0.1"
_MOST_BUCKETS: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FlinkSettings:
    """The `[engine.flink]` table of the settings file."""

    servers: str
    """Brokers of Kafka to begin with: `host:port`, separated by commas."""

    kafka: Mapping[str, str] = field(default_factory=dict, repr=False)
    """More that Kafka's Java client is told, such as `security.protocol`."""

    workspace: str = "main"
    prefix: str = "obverse"
    """Topics are named `prefix.workspace.stream`."""

    folder: str = ""
    """Where checkpoints and savepoints are kept, as Flink names it: a path that all its processes share, or `s3://…`."""

    buckets: int = BUCKETS
    parallelism: int = 2
    """Tasks that fold. Each keeps one core busy."""

    checkpoint_ms: int = 10_000
    """Between two checkpoints. Seldom ones cost less; after a failure, so much more is folded again."""

    rest: str = ""
    """`host:port` of a session cluster that somebody else runs; empty: one on this machine."""

    home: str = ""
    """Flink's environment; empty: beside ours (`make flink`)."""

    task_managers: int = 2
    """Of the cluster on this machine. Each is a process with one slot, since Python in it has one lock."""

    heap_mb: int = 256
    """Java's heap of a task manager."""

    managed_mb: int = 128
    """What RocksDB has in a task manager, for what it reads and what it has not written yet."""

    job_manager_heap_mb: int = 256

    trait_modules: Sequence[str] = ()
    """Beginnings of further modules whose kinds of traits may be folded with, such as `acme.traits.`."""

    def __post_init__(self) -> None:
        if not self.servers.strip():
            raise ValueError("engine.flink.servers is empty: name at least one broker of Kafka, such as kafka-1:9092")
        for name, least, most in (
            ("buckets", 1, _MOST_BUCKETS),
            ("parallelism", 1, self.buckets),
            ("checkpoint_ms", 100, 600_000),
            ("task_managers", 1, 64),
            ("heap_mb", 128, 65_536),
            ("managed_mb", 64, 1_048_576),
            ("job_manager_heap_mb", 128, 65_536),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"engine.flink.{name} is {getattr(self, name)}: choose {least} to {most}")

    @property
    def job_name(self) -> str:
        """By which a running job is found."""
        return f"{self.prefix}.{self.workspace}"

    def topic(self, stream: str) -> str:
        """The topic of a stream."""
        return f"{self.prefix}.{self.workspace}.{stream}"


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


def job_configuration(settings: FlinkSettings, python: Path, restore: str) -> dict[str, str]:
    """Flink's configuration for the job; `restore` is the savepoint or checkpoint that it begins with, if any."""
    host, _, port = settings.rest.rpartition(":")
    told = {
        "execution.target": "remote",
        "rest.address": host,
        "rest.port": port,
        "pipeline.name": settings.job_name,
        "pipeline.auto-watermark-interval": "0 ms",
        # Python within the task manager's own process: over sockets, to touch a profile costs a hundred times as much.
        "python.execution-mode": "thread",
        "python.executable": str(python),
        "python.client.executable": str(python),
        "state.backend.type": "rocksdb",
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.interval": f"{settings.checkpoint_ms} ms",
        "execution.checkpointing.min-pause": f"{settings.checkpoint_ms // 2} ms",
        "execution.checkpointing.dir": f"{place_of(settings)}/checkpoints",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.tolerable-failed-checkpoints": "100",
        "execution.buffer-timeout.interval": "5 ms",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "200 ms",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
    }
    return told | ({"execution.state-recovery.path": restore} if restore else {})


def place_of(settings: FlinkSettings) -> str:
    """Where the job keeps what outlives its processes, as Flink names it."""
    return settings.folder if "://" in settings.folder else f"file://{Path(settings.folder).absolute()}"
