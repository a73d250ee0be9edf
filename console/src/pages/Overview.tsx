import { Group, Progress, SimpleGrid, Skeleton, Text } from "@mantine/core";
import { IconSparkles, IconUsersGroup } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { readyQuery } from "../api/queries";
import type { Overview as Figures } from "../api/types";
import { count, rate as shownRate, title } from "../format";
import { Status } from "../parts/Bits";
import { ConnectionStatus } from "../parts/ConnectionStatus";
import { Page, Panel } from "../parts/Page";
import { currentRate, useOverview } from "../parts/rate";
import { Empty, Loaded, Notice } from "../parts/States";

const RateChart = lazy(() => import("../parts/RateChart"));

export function Overview() {
  const { t } = useTranslation();
  const { query, points } = useOverview();
  const now = currentRate(points);
  return (
    <Page title={t("overview.title")} about={t("overview.about")}>
      <div className="split">
        {query.data === undefined && query.error ? (
          <>
            <Panel>
              <Loaded query={query}>{() => null}</Loaded>
            </Panel>
            <Health />
          </>
        ) : (
          <>
            {query.error && (
              <Notice tone="warn" role="status">
                {t("error.stale")}
              </Notice>
            )}
            <dl className="figures" style={{ margin: 0 }}>
              <Figure name={t("overview.profiles")} value={query.data?.profiles} />
              <Figure name={t("overview.merges")} value={query.data?.merges} />
              <Figure name={t("overview.events")} value={query.data?.events} />
              <Figure name={t("overview.rejected")} value={query.data?.rejected} alarming />
            </dl>
            {query.data?.events === 0 && query.data.received === 0 ? (
              <Panel>
                <Empty
                  icon={<IconSparkles size={22} />}
                  title={t("overview.emptyTitle")}
                  code={t("overview.emptyCode", { host: window.location.hostname })}
                >
                  {t("overview.empty")}
                </Empty>
              </Panel>
            ) : (
              <div className="split wideLeft level">
                <Panel
                  title={t("overview.rate")}
                  aside={
                    <Group gap={18}>
                      <Reading label={t("overview.lag")} value={<Lag lag={query.data?.lag} />} />
                      <Reading
                        label={t("overview.now")}
                        value={now === undefined ? "–" : t("overview.perSecond", { rate: shownRate(now) })}
                      />
                    </Group>
                  }
                >
                  <Suspense fallback={<Skeleton height={190} />}>
                    <RateChart
                      points={points}
                      label={t("overview.chart", { rate: now === undefined ? "–" : shownRate(now) })}
                    />
                  </Suspense>
                </Panel>
                <Health />
              </div>
            )}
            {query.data && (
              <div className="split wideLeft">
                <Audiences audiences={query.data.audiences} profiles={query.data.profiles} />
                <div className="split">
                  <Outward figures={query.data} />
                  <Messages figures={query.data} />
                </div>
              </div>
            )}
          </>
        )}
      </div>
    </Page>
  );
}

function Figure(props: { name: string; value: number | undefined; alarming?: boolean }) {
  return (
    <div className="figure">
      <dt>{props.name}</dt>
      <dd
        className="figureValue"
        style={{ marginLeft: 0, color: props.alarming && props.value ? "var(--warn)" : undefined }}
      >
        {props.value === undefined ? <Skeleton width={90} height={30} /> : count(props.value)}
      </dd>
    </div>
  );
}

function Reading({ label, value }: { label: string; value: ReactNode }) {
  return (
    <Text size="sm" component="span">
      <Text component="span" size="xs" c="dimmed" mr={6}>
        {label}
      </Text>
      <b style={{ fontWeight: 600 }}>{value}</b>
    </Text>
  );
}

function Lag({ lag }: { lag: Figures["lag"] }) {
  const { t } = useTranslation();
  if (!lag) return <>–</>;
  const events = Object.values(lag).reduce((sum, partition) => sum + partition.lag, 0);
  return (
    <span title={t("overview.lagAbout")}>
      {t("overview.lagEvents", { count: events, shown: count(events) })}
    </span>
  );
}

function Health() {
  const { t } = useTranslation();
  const ready = useQuery(readyQuery);
  return (
    <Panel
      title={t("health.title")}
      flush
      aside={
        ready.data && (
          <Status tone={ready.data.components.every(({ status }) => status === "ok") ? "good" : "warn"}>
            {t(
              ready.data.components.every(({ status }) => status === "ok")
                ? "health.allWell"
                : "health.notAll",
            )}
          </Status>
        )
      }
    >
      <Loaded query={ready} lines={4}>
        {({ components }) => (
          <ul style={{ listStyle: "none", margin: 0, padding: "6px 16px 10px" }}>
            {components.map((component) => (
              <li key={component.name} style={{ padding: "7px 0" }}>
                <Group justify="space-between">
                  <span>{title(component.name)}</span>
                  <Status tone={component.status === "ok" ? "good" : "bad"}>
                    {component.status === "ok" ? t("health.ok") : title(component.status)}
                  </Status>
                </Group>
                {component.status !== "ok" && (
                  <Text size="xs" mt={4} component="div">
                    <div>{component.detail}</div>
                    {component.remedy && (
                      <Text size="xs" c="dimmed">
                        {component.remedy}
                      </Text>
                    )}
                  </Text>
                )}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </Panel>
  );
}

function Audiences({ audiences, profiles }: { audiences: Figures["audiences"]; profiles: number }) {
  const { t } = useTranslation();
  const rows = Object.entries(audiences).sort(([, one], [, other]) => other - one);
  return (
    <Panel title={t("audiences.title")} flush>
      {rows.length === 0 ? (
        <Empty icon={<IconUsersGroup size={22} />} title={t("audiences.none")}>
          {t("audiences.noneRemedy")}
        </Empty>
      ) : (
        <ul style={{ listStyle: "none", margin: 0, padding: "8px 8px 10px" }}>
          {rows.map(([name, members]) => (
            <li key={name}>
              <Link to="/audiences/$name" params={{ name }} className="measure">
                <span className="truncate">{title(name)}</span>
                <Progress
                  value={profiles ? (100 * members) / profiles : 0}
                  size={6}
                  aria-label={t("audiences.share", { name })}
                />
                <b>{count(members)}</b>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Outward({ figures }: { figures: Figures }) {
  const { t } = useTranslation();
  const connections = figures.connections ?? [];
  return (
    <Panel title={t("crm.title")} flush>
      {connections.length === 0 ? (
        <Text c="dimmed" size="sm" p="md">
          {t("crm.noneShort")}
        </Text>
      ) : (
        <ul style={{ listStyle: "none", margin: 0, padding: "8px" }}>
          {connections.map((connection) => (
            <li key={connection.name}>
              <Link to="/crm/$name" params={{ name: connection.name }} className="measure two">
                <span className="truncate">{connection.name}</span>
                <ConnectionStatus state={connection.state} />
                <Text size="xs" c="dimmed" component="span" style={{ gridColumn: "1 / -1" }}>
                  {t("crm.waitingDead", { waiting: count(connection.waiting), dead: count(connection.dead) })}
                </Text>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Messages({ figures }: { figures: Figures }) {
  const { t } = useTranslation();
  if (!figures.messages) return null;
  const { messages } = figures;
  return (
    <Panel title={t("messages.title")}>
      <SimpleGrid cols={4} spacing="xs">
        {(["sent", "queued", "refused", "unknown"] as const).map((status) => (
          <Link key={status} to="/messages" search={{ status }} className="small">
            <span className="figureLabel">{t(`messages.status.${status}`)}</span>
            <b
              style={{
                color:
                  status === "unknown" && messages[status]
                    ? "var(--warn)"
                    : status === "refused" && messages[status]
                      ? "var(--bad)"
                      : undefined,
              }}
            >
              {count(messages[status])}
            </b>
          </Link>
        ))}
      </SimpleGrid>
    </Panel>
  );
}
