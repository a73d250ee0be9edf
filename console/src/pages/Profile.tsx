import { Badge, Group, Skeleton, Tabs, Text } from "@mantine/core";
import { IconUserOff } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { pastProfileQuery, profileEventsQuery, profileQuery } from "../api/queries";
import type { Profile, ProfileEvent } from "../api/types";
import { count, dateTime, words } from "../format";
import { AsOf, Past } from "../parts/AsOf";
import { Attributes } from "../parts/Attributes";
import { Copy, Facts, IdentifierChip, Json, Value, When } from "../parts/Bits";
import { Compare } from "../parts/Comparison";
import { EdgeTable, RefusedTable } from "../parts/EdgeTable";
import { InGroups } from "../parts/InGroups";
import { Page, Panel } from "../parts/Page";
import { asIdentifier, nameOf } from "../parts/people";
import { Empty, Loaded, More } from "../parts/States";
import { Timeline } from "../parts/Timeline";
import { AskWhy, Why } from "../parts/Why";

const IdentityGraph = lazy(() => import("../parts/IdentityGraph"));

export function ProfilePage() {
  const { t } = useTranslation();
  const { id } = useParams({ from: "/shell/profiles/$id" });
  const identifier = asIdentifier(id);
  const { as_of: asOf } = useSearch({ from: "/shell/profiles/$id" });
  const navigate = useNavigate({ from: "/profiles/$id" });
  const query = useQuery(profileQuery(identifier));
  const past = useQuery({ ...pastProfileQuery(identifier, asOf ?? ""), enabled: asOf !== undefined });
  const missing = query.error instanceof ApiError && query.error.status === 404 && !query.data;
  return (
    <Page
      title={query.data ? nameOf(query.data) : missing ? t("profile.missing") : t("profile.title")}
      back={{ to: "/profiles", label: t("profiles.title") }}
      about={
        query.data && (
          <Group gap={6}>
            {leading(query.data).map(({ kind, value }) => (
              <IdentifierChip key={`${kind}:${value}`} kind={kind} value={value} />
            ))}
            {query.data.identifiers.length > LEADING && (
              <Text size="xs">{t("profile.more", { count: query.data.identifiers.length - LEADING })}</Text>
            )}
          </Group>
        )
      }
    >
      {missing ? (
        <Panel>
          <Empty icon={<IconUserOff size={22} />} title={t("profile.nobody", { identifier })}>
            {t("profile.nobodyRemedy")}
          </Empty>
        </Panel>
      ) : query.data ? (
        <>
          <AsOf
            identifier={identifier}
            profile={query.data}
            asOf={asOf}
            onChange={(as_of) => void navigate({ search: (before) => ({ ...before, as_of }), replace: true })}
          />
          <Loaded query={asOf === undefined ? query : past} lines={10}>
            {(profile) => (
              <>
                <Past profile={profile} identifier={identifier} />
                <Portrait profile={profile} identifier={identifier} />
              </>
            )}
          </Loaded>
        </>
      ) : (
        <Panel>
          <Loaded query={query} lines={10}>
            {() => null}
          </Loaded>
        </Panel>
      )}
    </Page>
  );
}

/** Identifiers in the heading: what names a person before what only a browser knows. */
const LEADING = 3;
const leading = ({ identifiers }: Profile) =>
  identifiers
    .toSorted((one, other) => Number(one.kind === "anonymous_id") - Number(other.kind === "anonymous_id"))
    .slice(0, LEADING);

function Portrait({ profile, identifier }: { profile: Profile; identifier: string }) {
  const { t } = useTranslation();
  const { tab = "attributes" } = useSearch({ from: "/shell/profiles/$id" });
  const navigate = useNavigate({ from: "/profiles/$id" });
  return (
    <div className="split wideLeft">
      <section className="panel" aria-label={t("profile.title")}>
        <Tabs
          value={tab}
          keepMounted={false}
          onChange={(next) =>
            void navigate({
              search: (before) => ({
                ...before,
                tab: next === "timeline" || next === "graph" || next === "compare" ? next : undefined,
              }),
              replace: true,
            })
          }
        >
          <Tabs.List className="tabs">
            <Tabs.Tab value="attributes">{t("profile.attributes")}</Tabs.Tab>
            <Tabs.Tab value="timeline">{t("profile.timeline")}</Tabs.Tab>
            <Tabs.Tab value="graph">{t("profile.graph")}</Tabs.Tab>
            <Tabs.Tab value="compare">{t("profile.compare")}</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="attributes">
            <Attributes attributes={profile.attributes} />
          </Tabs.Panel>
          <Tabs.Panel value="timeline">
            {profile.past === undefined ? (
              <Events identifier={identifier} />
            ) : (
              <Text c="dimmed" size="sm" p="md">
                {t("past.noTimeline")}
              </Text>
            )}
          </Tabs.Panel>
          <Tabs.Panel value="compare">
            <Compare key={profile.past?.as_of} identifier={identifier} profile={profile} />
          </Tabs.Panel>
          <Tabs.Panel value="graph">
            <Suspense fallback={<Skeleton height={460} radius={0} />}>
              <IdentityGraph identifiers={profile.identifiers} edges={profile.edges} />
            </Suspense>
            <EdgeTable edges={profile.edges} undo={profile.past === undefined} />
            <RefusedTable edges={profile.refused} undo={profile.past === undefined} />
          </Tabs.Panel>
        </Tabs>
      </section>
      <div className="split">
        <Panel title={t("profile.facts")}>
          <Facts
            facts={[
              [t("profile.events"), count(profile.events)],
              [t("profile.firstSeen"), profile.first_seen ? dateTime(profile.first_seen) : "–"],
              [t("profile.changed"), <When key="when" at={profile.changed_at} />],
              [
                t("profile.id"),
                <Group key="id" gap={4} wrap="nowrap">
                  <span className="mono truncate">{profile.id}</span>
                  <Copy text={profile.id} label={t("profile.copyId")} />
                </Group>,
              ],
            ]}
          />
        </Panel>
        <Traits traits={profile.traits as Record<string, unknown>} approximate={profile.approximate} />
        <InAudiences profile={profile} identifier={identifier} />
        <InGroups profile={profile} />
        <Identifiers profile={profile} />
      </div>
    </div>
  );
}

function Events({ identifier }: { identifier: string }) {
  const { t } = useTranslation();
  const query = useInfiniteQuery(profileEventsQuery(identifier));
  return (
    <Loaded query={query} lines={8}>
      {({ pages }) => {
        const events = pages.flatMap((page) => page.events);
        if (events.length === 0) {
          return (
            <Text c="dimmed" size="sm" p="md">
              {t("profile.noEvents")}
            </Text>
          );
        }
        return (
          <>
            <div className="panelBody">
              <Timeline
                rows={events.map((event: ProfileEvent) => ({
                  key: String(event.id),
                  title: event.event_type,
                  note: event.name && event.name !== event.event_type ? event.name : event.source,
                  at: event.timestamp,
                  open: () => <Json value={event} label={t("events.json")} />,
                }))}
              />
            </div>
            <More shown={events.length} query={query} />
          </>
        );
      }}
    </Loaded>
  );
}

function Traits({ traits, approximate }: { traits: Record<string, unknown>; approximate: string[] }) {
  const { t } = useTranslation();
  const rows = Object.entries(traits).sort(([one], [other]) => one.localeCompare(other));
  return (
    <Panel title={t("profile.traits")}>
      {rows.length === 0 ? (
        <Text c="dimmed" size="sm">
          {t("profile.noTraits")}
        </Text>
      ) : (
        <dl className="facts spread">
          {rows.map(([name, value]) => (
            <div key={name}>
              <dt title={name}>
                <Link to="/traits/$name" params={{ name }} className="quietLink">
                  {words(name)}
                </Link>
              </dt>
              <dd className="anywhere">
                {approximate.includes(name) && <span title={t("profile.approximate")}>≈ </span>}
                <Value value={value} />
              </dd>
            </div>
          ))}
        </dl>
      )}
    </Panel>
  );
}

function InAudiences({ profile, identifier }: { profile: Profile; identifier: string }) {
  const { t } = useTranslation();
  const { why } = useSearch({ from: "/shell/profiles/$id" });
  const navigate = useNavigate({ from: "/profiles/$id" });
  const now = profile.past === undefined;
  const ask = (name: string | undefined) =>
    void navigate({ search: (before) => ({ ...before, why: name }), replace: true, resetScroll: false });
  return (
    <Panel title={t("audiences.title")}>
      {profile.audiences.length === 0 ? (
        <Text c="dimmed" size="sm">
          {t("profile.noAudiences")}
        </Text>
      ) : (
        <dl className="facts spread">
          {profile.audiences.map(({ name, since, number }) => (
            <div key={name}>
              <dt>
                {now ? (
                  <button
                    type="button"
                    className="chip"
                    aria-haspopup="dialog"
                    aria-label={t("why.open", { audience: words(name) })}
                    onClick={() => ask(name)}
                  >
                    {words(name)}
                  </button>
                ) : (
                  <Link to="/audiences/$name" params={{ name }} className="chip">
                    {words(name)}
                  </Link>
                )}
                {number > 1 && (
                  <Badge size="xs" variant="default" ml={6} title={t("profile.entered", { count: number })}>
                    ×{number}
                  </Badge>
                )}
              </dt>
              <dd style={{ color: "var(--mantine-color-dimmed)", fontWeight: 400 }}>
                <When at={since} />
              </dd>
            </div>
          ))}
        </dl>
      )}
      {now && (
        <div style={{ marginTop: 12 }}>
          <AskWhy onAsk={ask} />
          <Why
            identifier={identifier}
            person={nameOf(profile)}
            audience={why}
            onClose={() => ask(undefined)}
          />
        </div>
      )}
    </Panel>
  );
}

function Identifiers({ profile }: { profile: Profile }) {
  const { t } = useTranslation();
  return (
    <Panel title={t("profile.identifiers")}>
      <ul
        style={{
          listStyle: "none",
          margin: 0,
          padding: 0,
          display: "grid",
          gridTemplateColumns: "minmax(0, 1fr)",
          gap: 10,
        }}
      >
        {profile.identifiers.map(({ kind, value, last_seen }) => (
          <li key={`${kind}:${value}`}>
            <Group gap={6} wrap="nowrap" justify="space-between">
              <div style={{ minWidth: 0 }}>
                <Text size="xs" c="dimmed">
                  {kind}
                </Text>
                <div className="truncate">{value}</div>
              </div>
              <Group gap={6} wrap="nowrap">
                <Text size="xs" c="dimmed">
                  <When at={last_seen} />
                </Text>
                <Copy text={`${kind}:${value}`} label={t("profile.copyIdentifier")} />
              </Group>
            </Group>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
