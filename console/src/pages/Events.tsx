import { Button, Group, Select, Text } from "@mantine/core";
import {
  IconActivity,
  IconAntennaBars5,
  IconChevronRight,
  IconPlayerPause,
  IconPlayerPlay,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { memo, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { type LiveFilter, listen, type StreamState } from "../api/live";
import { recentEventsQuery } from "../api/queries";
import type { LiveEvent } from "../api/types";
import { clockTime } from "../format";
import { Json, SearchField, Status } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { Empty, Failure, Loading, Notice } from "../parts/States";
import { askToSignIn } from "../session";

/** Rows on the page. */
const MOST = 500;
const TYPES = ["track", "identify", "page", "screen", "group", "alias"];

export function Events() {
  const { t } = useTranslation();
  const navigate = useNavigate({ from: "/events" });
  const filter = useSearch({ from: "/shell/events" });
  const live = useLiveEvents(filter);
  const set = (change: LiveFilter) =>
    navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const filtered = Boolean(filter.source || filter.type || filter.q);
  return (
    <Page
      title={t("events.title")}
      about={t("events.about")}
      actions={
        <Group gap="md">
          <span role="status">
            <Status tone={live.paused ? "idle" : live.state === "open" ? "good" : "warn"}>
              {t(live.paused ? "events.state.paused" : `events.state.${live.state}`)}
            </Status>
          </span>
          <Button
            leftSection={live.paused ? <IconPlayerPlay size={16} /> : <IconPlayerPause size={16} />}
            onClick={live.toggle}
            aria-pressed={live.paused}
            variant={live.paused ? "filled" : "default"}
          >
            {live.paused ? t("events.resume", { count: live.waiting }) : t("events.pause")}
          </Button>
        </Group>
      }
    >
      <Panel label={t("events.title")} flush>
        <div className="toolbar">
          <SearchField
            value={filter.q ?? ""}
            onChange={(q) => set({ q: q || undefined })}
            label={t("events.search")}
            placeholder={t("events.searchHint")}
          />
          <Select
            aria-label={t("events.source")}
            placeholder={t("events.anySource")}
            data={live.sources}
            value={filter.source ?? null}
            onChange={(source) => set({ source: source ?? undefined })}
            clearable
            clearButtonProps={{ "aria-label": t("action.clear") }}
            className="filter"
          />
          <Select
            aria-label={t("events.type")}
            placeholder={t("events.anyType")}
            data={TYPES}
            value={filter.type ?? null}
            onChange={(type) => set({ type: type ?? undefined })}
            clearable
            clearButtonProps={{ "aria-label": t("action.clear") }}
            className="filter"
          />
        </div>
        {live.refused ? (
          <Failure error={live.refused} retry={live.again} />
        ) : live.loading ? (
          <Loading lines={8} />
        ) : (
          <>
            {live.state === "reconnecting" && (
              <div style={{ padding: 12 }}>
                <Notice tone="warn" role="status" title={t("events.broken")}>
                  {t("events.brokenRemedy")}
                </Notice>
              </div>
            )}
            {live.events.length === 0 ? (
              <Empty
                icon={filtered ? <IconAntennaBars5 size={22} /> : <IconActivity size={22} />}
                title={t(filtered ? "events.noMatch" : "events.none")}
                code={filtered ? undefined : t("overview.emptyCode", { host: window.location.hostname })}
              >
                {t(filtered ? "events.noMatchRemedy" : "events.noneRemedy")}
              </Empty>
            ) : (
              <>
                <div className="eventRow eventHead" aria-hidden>
                  <span>{t("events.received")}</span>
                  <span className="phoneHide">{t("events.type")}</span>
                  <span>{t("events.event")}</span>
                  <span>{t("events.person")}</span>
                  <span className="phoneHide">{t("events.source")}</span>
                  <span />
                </div>
                <div>
                  {live.events.map((event) => (
                    <EventRow key={event.id} event={event} fresh={live.fresh.has(event.id)} />
                  ))}
                </div>
                <Text
                  size="xs"
                  c="dimmed"
                  px="md"
                  py={10}
                  style={{ borderTop: "1px solid var(--line-soft)" }}
                >
                  {t("events.kept", { count: live.events.length, most: MOST })}{" "}
                  {live.skipped > 0 && t("events.skipped", { count: live.skipped })}
                </Text>
              </>
            )}
          </>
        )}
      </Panel>
    </Page>
  );
}

const EventRow = memo(function EventRow({ event, fresh }: { event: LiveEvent; fresh: boolean }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const person = event.user_id ?? event.anonymous_id;
  const identifier = event.user_id ? `user_id:${event.user_id}` : `anonymous_id:${event.anonymous_id}`;
  return (
    <div className="eventItem">
      <button
        type="button"
        className={fresh ? "eventRow fresh" : "eventRow"}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <time dateTime={event.received_at} title={event.received_at}>
          {clockTime(event.received_at)}
        </time>
        <span className="phoneHide" style={{ color: "var(--mantine-color-dimmed)" }}>
          {event.type}
        </span>
        <span className="truncate">
          <b style={{ fontWeight: 550 }}>{event.event_type}</b>
          {event.name && event.name !== event.event_type && (
            <span style={{ color: "var(--mantine-color-dimmed)" }}> {event.name}</span>
          )}
          {event.rejected && (
            <span className="rejected" title={event.rejected.reason}>
              {t("events.rejected")}
            </span>
          )}
        </span>
        <span className="truncate mono">{person ?? "–"}</span>
        <span className="truncate phoneHide" style={{ color: "var(--mantine-color-dimmed)" }}>
          {event.source}
        </span>
        <IconChevronRight size={16} className="chevron" aria-hidden />
      </button>
      {open && (
        <div className="eventOpen">
          {event.rejected && (
            <div style={{ marginBottom: 10 }}>
              <Notice tone="bad" title={event.rejected.code}>
                {event.rejected.reason}
              </Notice>
            </div>
          )}
          {person && !event.rejected && (
            <Text size="sm" mb={8}>
              <Link to="/profiles/$id" params={{ id: identifier }} style={{ color: "var(--accent)" }}>
                {t("events.toProfile")}
              </Link>
            </Text>
          )}
          <Json value={event} label={t("events.json")} />
        </div>
      )}
    </div>
  );
});

/** The latest events and those that come, newest first. While paused what comes waits, and is counted. */
function useLiveEvents({ source, type, q }: LiveFilter) {
  const [state, setState] = useState<StreamState>("connecting");
  const [listened, setListened] = useState(false);
  // Asked after the stream has opened, so that nothing falls between the two.
  const recent = useQuery({ ...recentEventsQuery({ source, type, q }), enabled: listened });
  const [refused, setRefused] = useState<ApiError | null>(null);
  const [attempt, setAttempt] = useState(0);
  const [come, setCome] = useState<LiveEvent[]>([]);
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const [paused, setPaused] = useState(false);
  const [waiting, setWaiting] = useState(0);
  const [skipped, setSkipped] = useState(0);
  const held = useRef<LiveEvent[]>([]);
  const holding = useRef(false);

  const show = useCallback((events: LiveEvent[]) => {
    setFresh(new Set(events.map(({ id }) => id)));
    setCome((before) => [...events.toReversed(), ...before].slice(0, MOST));
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt listens anew
  useEffect(() => {
    setCome([]);
    held.current = [];
    setWaiting(0);
    setSkipped(0);
    setRefused(null);
    return listen(
      { source, type, q },
      {
        onEvents: (events) => {
          if (!holding.current) return show(events);
          held.current = [...held.current, ...events].slice(-MOST);
          setWaiting((before) => before + events.length);
        },
        onSkipped: (count) => setSkipped((before) => before + count),
        onState: (next) => {
          setState(next);
          if (next !== "connecting") setListened(true);
        },
        onRefused: (error) => {
          if (error.status === 401) askToSignIn();
          setRefused(error);
        },
      },
    );
  }, [source, type, q, show, attempt]);

  const toggle = useCallback(() => {
    holding.current = !holding.current;
    setPaused(holding.current);
    if (!holding.current) {
      show(held.current);
      held.current = [];
      setWaiting(0);
    }
  }, [show]);

  const events = useMemo(() => {
    const all = [...come, ...(recent.data?.events ?? [])];
    const seen = new Set<string>();
    return all.filter(({ id }) => !seen.has(id) && seen.add(id)).slice(0, MOST);
  }, [come, recent.data]);

  const sources = useMemo(() => {
    const known = new Set([...come, ...(recent.data?.events ?? [])].map((event) => event.source));
    if (source) known.add(source);
    return [...known].sort();
  }, [come, recent.data, source]);

  return {
    events,
    sources,
    state,
    fresh,
    paused,
    waiting,
    skipped,
    toggle,
    loading: recent.isPending && come.length === 0,
    refused: refused ?? (come.length === 0 && recent.error instanceof ApiError ? recent.error : null),
    again: () => {
      setAttempt((before) => before + 1);
      void recent.refetch();
    },
  };
}
