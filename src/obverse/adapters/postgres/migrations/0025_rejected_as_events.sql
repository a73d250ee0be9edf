-- Rejected events have the columns of event_stream, so that one query finds and joins both.

alter table public.rejected_events
    add column event_type varchar(255),
    add column properties jsonb,
    add column ingested_at timestamptz generated always as (received_at) stored,
    add column user_id text,
    add column anonymous_id text,
    add column name text,
    add column context jsonb,
    add column integrations jsonb,
    add column extra jsonb,
    add column timestamp timestamptz,
    add column original_timestamp timestamptz,
    add column sent_at timestamptz,
    add column group_id text,
    add column previous_id text,
    add column properties_as_sent bytea,
    add column context_as_sent bytea,
    add column integrations_as_sent bytea,
    add column extra_as_sent bytea;

comment on table public.rejected_events is
    'What was refused, with the columns of event_stream as far as it could be read; null where it could not. body is what was sent.';
comment on column public.rejected_events.event_type is 'As in event_stream; of an event without a name the type of the call.';
comment on column public.rejected_events.extra is
    'Every other field, and what stood where another kind of value belongs. Null in rows of before, as are the times but two.';

-- Rows of before: ids, names and objects, where the body is JSON that jsonb takes as it is. Times and all other fields
-- are read by rules that SQL has not, so they stay null.

create function pg_temp.read_rejected(body bytea) returns jsonb language plpgsql as $$
begin
    return convert_from(body, 'UTF8')::jsonb;
exception when others then
    return null;
end
$$;

create function pg_temp.word_of(said jsonb, name text) returns text language sql as $$
    select case when jsonb_typeof(said -> name) in ('string', 'number') then said ->> name end
$$;

create function pg_temp.object_of(said jsonb, name text) returns jsonb language sql as $$
    select case coalesce(jsonb_typeof(said -> name), 'null') when 'object' then said -> name when 'null' then '{}' end
$$;

update public.rejected_events as kept
set event_type = left(
        case when kept.type = 'track' then coalesce(nullif(pg_temp.word_of(said, 'event'), ''), 'track') else kept.type end, 255
    ),
    name = pg_temp.word_of(said, case when kept.type = 'track' then 'event' else 'name' end),
    user_id = pg_temp.word_of(said, 'userId'),
    anonymous_id = pg_temp.word_of(said, 'anonymousId'),
    group_id = pg_temp.word_of(said, 'groupId'),
    previous_id = pg_temp.word_of(said, 'previousId'),
    properties = pg_temp.object_of(said, case when kept.type in ('identify', 'group') then 'traits' else 'properties' end),
    context = pg_temp.object_of(said, 'context'),
    integrations = pg_temp.object_of(said, 'integrations')
from (
    select rejected_id, pg_temp.read_rejected(body) as said
    from public.rejected_events where substring(body from 1 for 1) = '\x7b'
) as read
where read.rejected_id = kept.rejected_id and jsonb_typeof(said) = 'object';

drop function pg_temp.read_rejected(bytea), pg_temp.word_of(jsonb, text), pg_temp.object_of(jsonb, text);

create index rejected_events_of_user on public.rejected_events (workspace_id, user_id, rejected_id)
    where user_id is not null;
create index rejected_events_of_anonymous on public.rejected_events (workspace_id, anonymous_id, rejected_id)
    where anonymous_id is not null;
