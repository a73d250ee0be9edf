"""What every role imports, imported once: roles are forked from a process that has done it."""

from __future__ import annotations

import obverse.apps.light_structlog  # isort: skip - before all that imports structlog

import obverse.adapters.embedded
import obverse.adapters.local
import obverse.adapters.postgres.definition_store
import obverse.adapters.postgres.event_log
import obverse.adapters.postgres.log_places
import obverse.adapters.postgres.outbox
import obverse.adapters.postgres.profile_store
import obverse.adapters.postgres.replays
import obverse.adapters.postgres.sessions
import obverse.adapters.postgres.sync_queue
import obverse.adapters.smtp.local_inbox
import obverse.apps.api.app
import obverse.apps.collector
import obverse.apps.collector.bots
import obverse.apps.roles.worker_flows
import obverse.apps.sandbox
import obverse.apps.worker
import obverse.flows.absorb
import obverse.flows.activate
import obverse.flows.deliver
import obverse.flows.keep_rejected
import obverse.flows.replay
import obverse.flows.replaying
import obverse.flows.retain
import obverse.flows.review
import obverse.flows.serve
import obverse.flows.unify
import obverse.wiring

__all__ = ["obverse"]
