"""The SQL of the log, each query with one line of purpose."""

from __future__ import annotations

CHANNEL = "event_log"
"""Where appends are announced, as `stream partition,partition… workspace`."""

LOCK = "select pg_try_advisory_lock($1)"
"""Become the appender of one place, unless another session is."""

NEVER_LOSE = """
select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'
"""
"""Make a commit wait for the disk, though the server or the role may be set otherwise."""

PREPARE = "select public.event_log_prepare($1, $2, $3)"
"""Have the segments of now and of the time after it; returns when to ask again."""

APPEND = """
with written as (
    insert into public.event_log
        (workspace_id, stream, partition, first_offset, count, appended_at, checksum, body)
    select $1, $2, packed.partition, packed.first_offset, packed.count, $3, packed.checksum, packed.body
    from unnest($4::integer[], $5::bigint[], $6::integer[], $7::bigint[], $8::bytea[])
        as packed (partition, first_offset, count, checksum, body)
)
select pg_notify($9, $10)
"""
"""Write one group, a row per partition, and announce it: one statement, so one round trip and one commit."""

ENDS = """
select wanted.partition, coalesce(trimmed.end_offset, 0) as first,
    coalesce(newest.first_offset + newest.count, trimmed.end_offset, 0) as end,
    greatest(newest.appended_at, trimmed.appended_at) as appended_at
from unnest($3::integer[]) as wanted (partition)
left join public.event_log_trimmed as trimmed
    on trimmed.workspace_id = $1 and trimmed.stream = $2 and trimmed.partition = wanted.partition
left join lateral (
    select first_offset, count, appended_at from public.event_log
    where workspace_id = $1 and stream = $2 and partition = wanted.partition
    order by first_offset desc limit 1
) as newest on true
"""
"""First offset kept, offset after the last record, and time of the last append, of each partition."""

FIND = """
select first_offset, count, appended_at from public.event_log
where workspace_id = $1 and stream = $2 and partition = $3 and first_offset <= $4
order by first_offset desc limit 1
"""
"""The row that holds an offset, or the last one before it."""

READ = """
select first_offset, count, appended_at, checksum, body
from (
    select found.*, row_number() over in_order as place,
        sum(octet_length(body)) over in_order - octet_length(body) as bytes_before
    from (
        select first_offset, count, appended_at, checksum, body from public.event_log
        where workspace_id = $1 and stream = $2 and partition = $3 and first_offset > $4
            and appended_at >= $5 and appended_at < $6
        order by first_offset limit $7
    ) as found
    window in_order as (order by first_offset rows unbounded preceding)
) as counted
where bytes_before < $8 or place <= 2
"""
"""
The rows after an offset, up to so many and so many bytes, but two if there are two. The two times only
keep PostgreSQL from looking into segments that cannot hold those rows.
"""

BEGIN = "select public.event_log_begin($1, $2, $3, $4)"
"""Have empty partitions begin at offsets; returns one that is not empty, and changes none then, or null."""

TRIM = "select public.event_log_trim($1, $2, $3)"
"""Drop the oldest segment that ended before a moment; returns its name, or null when there is none."""
