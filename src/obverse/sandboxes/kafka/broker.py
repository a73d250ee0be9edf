"""One broker of Apache Kafka: its properties, its process, and whether it is ready."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from obverse.sandboxes import SandboxLacking

HOST: Final = "127.0.0.1"
USER: Final = "obverse"
PASSWORD: Final = "sandbox"  # noqa: S105 - of a broker that only this machine reaches
_START: Final = 120.0
"""Seconds within which a broker must be ready; one takes about two, on a machine that is busy much longer."""
_STOP: Final = 10.0
"""Seconds that a broker gets to end by itself."""
_DIE_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""


@dataclass(frozen=True, slots=True)
class Java:
    """What a broker runs on."""

    command: str
    jars: Path
    heap_mb: int

    def run(self, main: str, *arguments: str) -> list[str]:
        """The words that run a class of the jars."""
        return [
            *(self.command, f"-Xmx{self.heap_mb}m", "-Xms64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),
            *("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{self.jars}/*", main, *arguments),
        ]


def find_java(jars: Path | None, heap_mb: int) -> Java:
    """
    Find Java (JAVA_HOME, else the path) and the jars (beside our Python, if no folder is named).

    Raises:
        SandboxLacking: one of them is not there.
    """
    jars = jars or Path(sys.prefix) / "kafka"
    home = os.environ.get("JAVA_HOME", "")
    command = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if command is None:
        raise SandboxLacking(
            "a Kafka broker needs Java 17 or later, and there is none on the path or in JAVA_HOME: "
            "install it (on Debian: apt-get install openjdk-17-jre-headless)"
        )
    if not any(jars.glob("kafka_*.jar")):
        raise SandboxLacking(
            f"the jars of Apache Kafka are not in {jars}: in a checkout run `make kafka`, elsewhere "
            f"`mvn -q -f {Path(__file__).with_name('pom.xml')} dependency:copy-dependencies -DoutputDirectory={jars}`"
        )
    return Java(command, jars, heap_mb)


@dataclass(slots=True)
class Broker:
    """A broker that is also a controller, in a folder of its own."""

    number: int
    """From 1."""
    folder: Path
    port: int
    controller_port: int
    sasl_port: int
    java: Java
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def server(self) -> str:
        """Where clients reach it: host and port."""
        return f"{HOST}:{self.port}"

    @property
    def sasl_server(self) -> str:
        """The same for clients that say who they are (`USER` and `PASSWORD`, by SASL PLAIN)."""
        return f"{HOST}:{self.sasl_port}"

    @property
    def pid(self) -> int:
        """Of its process; 0 before the first start."""
        return 0 if self.process is None else self.process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def write_properties(self, brokers: Sequence[Broker]) -> None:
        """Write what it is told, in a cluster of these."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}={value}" for name, value in self._properties(brokers).items()]
        Path(self._file).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def format(self, cluster: str) -> None:
        """Make its folder ready, unless it is."""
        if self._identity.exists():
            return
        formatted = subprocess.run(  # noqa: S603 - our own words
            self.java.run("kafka.tools.StorageTool", "format", "-t", cluster, "-c", self._file),
            capture_output=True,
            check=False,
        )
        if formatted.returncode:
            raise RuntimeError(f"the folder of broker {self.number} cannot be formatted: {_end_of(formatted.stderr)}")

    def start(self) -> None:
        """Start its process; it dies with ours. Its words are in `broker.log` of its folder."""
        with (self.folder / "broker.log").open("ab") as words:
            self.process = subprocess.Popen(  # noqa: S603 - our own words
                self.java.run("kafka.Kafka", self._file),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                # A Ctrl-C on the terminal is for us alone: we stop it once nobody needs it any more.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - as said there
            )

    async def until_ready(self) -> None:
        """
        Wait until it takes connections.

        Raises:
            RuntimeError: it ended, or was not ready in time; the message has its last words.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START):
                while self.alive:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection(HOST, self.port)
                        writer.close()
                        return
                    await asyncio.sleep(0.05)
        words = (self.folder / "broker.log").read_bytes()
        raise RuntimeError(f"broker {self.number} of Apache Kafka did not start: {_end_of(words)}")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def pause(self) -> None:
        """Have it do nothing, with its connections open."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Let it end in good order, or kill it."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, _STOP)
        except subprocess.TimeoutExpired:
            self.kill()

    def format_like(self, other: Broker) -> None:
        """The same without starting Java once more: the folder of another one, but for who it is."""
        if self._identity.exists():
            return
        shutil.copytree(other.folder / "data", self.folder / "data")
        lines = self._identity.read_text(encoding="utf-8").splitlines()
        mine = {"node.id": str(self.number), "directory.id": new_id()}
        lines = [f"{name}={mine.get(name, value)}" for name, _, value in (line.partition("=") for line in lines)]
        self._identity.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def _identity(self) -> Path:
        return self.folder / "data" / "meta.properties"

    @property
    def _file(self) -> str:
        return str(self.folder / "server.properties")

    def _properties(self, brokers: Sequence[Broker]) -> Mapping[str, object]:
        copies = min(3, len(brokers))
        clients = f"PLAINTEXT://{self.server},SASL://{self.sasl_server}"
        return {
            "process.roles": "broker,controller",
            "node.id": self.number,
            "controller.quorum.voters": ",".join(f"{one.number}@{HOST}:{one.controller_port}" for one in brokers),
            "listeners": f"{clients},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": clients,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule "
            f'required user_{USER}="{PASSWORD}";',
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": copies,
            "group.initial.rebalance.delay.ms": 0,
            # Small: two or three share a laptop with everything else.
            "num.network.threads": 2,
            "num.io.threads": 4,
            "background.threads": 2,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            # A broker that was killed is missed soon.
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": 3000,
            "replica.lag.time.max.ms": 3000,
            "controlled.shutdown.enable": "false" if len(brokers) == 1 else "true",
        }


def new_id() -> str:
    """An id as Kafka makes them: 16 bytes in the letters of base64."""
    # The first byte small: a word that begins with a dash would be taken for an option.
    return base64.urlsafe_b64encode(b"\1" + secrets.token_bytes(15)).decode().rstrip("=")


def _die_with_parent() -> None:
    """Have the kernel end us when our parent ends, however it ends; nothing here takes a lock."""
    _libc.prctl(_DIE_WITH_PARENT, signal.SIGTERM)


_libc = ctypes.CDLL(None)


def _end_of(words: bytes) -> str:
    return words.decode(errors="replace")[-2000:]
