"""The SQL of the log in Kinesis, each query with one line of purpose."""

from __future__ import annotations

CHANNEL = "event_log_elsewhere"
"""Where appends are announced, as `stream partition:end,partition:end… workspace`."""

LOCK = "select pg_try_advisory_lock($1)"
"""Become the appender of one place, unless another session is."""

NEVER_LOSE = """
select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'
"""
"""Make a commit wait for the disk, though the server or the role may be set otherwise."""

CLAIM = """
insert into public.event_log_ends as known (workspace_id, stream, partition, epoch)
select $1, $2, partition, $4 from unnest($3::integer[]) as wanted (partition)
on conflict (workspace_id, stream, partition) do update set epoch = greatest(known.epoch + 1, excluded.epoch)
returning partition, epoch, end_offset, appended_at
"""
"""Begin an epoch, greater than all before it and at least as given; returns what was known of the ends."""

APPENDED = """
with moved as (
    update public.event_log_ends as known
    set end_offset = done.end_offset, appended_at = coalesce(done.appended_at, known.appended_at)
    from unnest($3::integer[], $4::bigint[], $5::bigint[], $6::timestamptz[])
        as done (partition, epoch, end_offset, appended_at)
    where known.workspace_id = $1 and known.stream = $2 and known.partition = done.partition
        and known.epoch = done.epoch
    returning known.partition
), placed as (
    insert into public.event_log_positions as known
        (workspace_id, stream, partition, first_offset, place, shard, sequence_number, epoch, before_at)
    select $1, $2, placed.partition, placed.first_offset, $7, placed.shard, placed.sequence_number, placed.epoch,
        placed.before_at
    from unnest($8::integer[], $9::bigint[], $10::text[], $11::text[], $12::bigint[], $13::timestamptz[])
        as placed (partition, first_offset, shard, sequence_number, epoch, before_at)
    join moved on moved.partition = placed.partition
    on conflict (workspace_id, stream, partition, first_offset) do update
    set place = excluded.place, shard = excluded.shard, sequence_number = excluded.sequence_number,
        epoch = excluded.epoch, before_at = coalesce(excluded.before_at, known.before_at)
)
select (select count(*) from moved) as moved, pg_notify($14, $15)
"""
"""
Note the new ends and some positions, and announce them: one round trip and one commit. Returns of how many partitions
the epoch was still the appender's own; of those alone anything was noted.
"""

ENDS = """
select known.partition, greatest(known.kept_offset, case
        when known.appended_at < $3 then known.end_offset
        else (
            select max(first_offset) from public.event_log_positions as position
            where position.workspace_id = $1 and position.stream = $2 and position.partition = known.partition
                and position.before_at < $3 and position.first_offset <= known.end_offset
        )
    end) as kept, known.end_offset
from public.event_log_ends as known
where known.workspace_id = $1 and known.stream = $2
"""
"""First offset kept, were all expired that is older than a moment, and end, of each partition."""

START = """
select first_offset, shard, sequence_number, epoch from public.event_log_positions
where workspace_id = $1 and stream = $2 and partition = $3 and first_offset <= $4 and place = $5
order by first_offset desc limit 1
"""
"""The last position that was noted before an offset, or at it."""

BEGIN = """
with wanted as (
    select * from unnest($3::integer[], $4::bigint[]) as wanted (partition, first_offset)
), used as (
    select min(known.partition) as partition from public.event_log_ends as known
    join wanted on wanted.partition = known.partition
    where known.workspace_id = $1 and known.stream = $2 and known.end_offset > 0
), begun as (
    insert into public.event_log_ends as known (workspace_id, stream, partition, epoch, end_offset, kept_offset)
    select $1, $2, wanted.partition, 0, wanted.first_offset, wanted.first_offset from wanted, used
    where used.partition is null
    on conflict (workspace_id, stream, partition) do update
    set end_offset = excluded.end_offset, kept_offset = excluded.kept_offset
)
select partition from used
"""
"""Have empty partitions begin at offsets; returns one that is not empty, and changes none then, or null."""

TRIM = (
    """
update public.event_log_ends as known
set kept_offset = found.kept
from ("""
    + ENDS
    + """) as found
where known.workspace_id = $1 and known.stream = $2 and known.partition = found.partition
    and found.kept > known.kept_offset
"""
)
"""Show nothing any more of what was appended before a moment."""

PRUNE = (
    """
delete from public.event_log_positions as position
using ("""  # noqa: S608 - both are ours
    + ENDS
    + """) as found
where position.workspace_id = $1 and position.stream = $2 and position.partition = found.partition
    and position.first_offset < (
        select max(first_offset) from public.event_log_positions as kept
        where kept.workspace_id = $1 and kept.stream = $2 and kept.partition = found.partition
            and kept.first_offset <= found.kept
    )
"""
)
"""Forget the positions before the last one from which all that has not expired can be read."""
