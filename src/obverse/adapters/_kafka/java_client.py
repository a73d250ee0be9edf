"""How Kafka's own Java client is told what our client library is told: no I/O here."""

from __future__ import annotations

from collections.abc import Mapping

from obverse.adapters._kafka.folded import MOST_MESSAGE
from obverse.adapters._kafka.settings import KafkaLogSettings


def java_client(settings: KafkaLogSettings) -> Mapping[str, str]:
    """
    The same brokers, and the same way to say who we are.

    >>> java_client(KafkaLogSettings(servers="kafka-1:9092"))["security.protocol"]
    'PLAINTEXT'

    Raises:
        ValueError: it cannot be said to that client.
    """
    told = {
        "bootstrap.servers": settings.servers,
        "security.protocol": settings.security.upper(),
        "max.request.size": str(MOST_MESSAGE),
        "reconnect.backoff.max.ms": "1000",
    }
    if settings.security.startswith("sasl"):
        plain = settings.sasl_mechanism == "PLAIN"
        module = "plain.PlainLoginModule" if plain else "scram.ScramLoginModule"
        told |= {
            "sasl.mechanism": settings.sasl_mechanism,
            "sasl.jaas.config": f"org.apache.kafka.common.security.{module} required "
            f"username={_quoted(settings.username)} password={_quoted(settings.password)};",
        }
    if settings.ca_file:
        told |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": settings.ca_file}
    if settings.certificate_file:
        if settings.key_file and settings.key_file != settings.certificate_file:
            raise ValueError(
                "event_log.kafka.key_file: Java takes a key and its certificate from one PEM file; put both into "
                "certificate_file, and name that file in key_file too"
            )
        told |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": settings.certificate_file}
        told |= {"ssl.key.password": settings.key_password} if settings.key_password else {}
    return told


def _quoted(text: str) -> str:
    """In the words of a JAAS configuration."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
