import { Tabs, Text } from "@mantine/core";
import { IconAddressBook, IconClockCheck, IconPlugConnectedX } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { connectionsQuery, queueQuery, recordsQuery } from "../api/queries";
import type { Connection } from "../api/types";
import { count, plain } from "../format";
import { SearchField, When } from "../parts/Bits";
import { ConnectionStatus } from "../parts/ConnectionStatus";
import { DeadLetters } from "../parts/DeadLetters";
import { Page, Panel } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Empty, Loaded, More, Notice } from "../parts/States";

const TABS = ["records", "queue", "dead-letters", "mapping"] as const;

export function ConnectionPage() {
  const { t } = useTranslation();
  const { name } = useParams({ from: "/shell/crm/$name" });
  const { tab = "records" } = useSearch({ from: "/shell/crm/$name" });
  const navigate = useNavigate({ from: "/crm/$name" });
  const query = useQuery(connectionsQuery);
  const connection = query.data?.connections.find((one) => one.name === name);
  return (
    <Page
      title={name}
      about={connection?.crm}
      back={{ to: "/crm", label: t("crm.title") }}
      actions={connection && <ConnectionStatus state={connection.state} />}
    >
      {!connection ? (
        <Panel>
          <Loaded query={query}>
            {() => (
              <Empty icon={<IconPlugConnectedX size={22} />} title={t("crm.unknown", { name })}>
                {t("crm.unknownRemedy")}
              </Empty>
            )}
          </Loaded>
        </Panel>
      ) : (
        <div className="split">
          {connection.reason && connection.state !== "ok" && (
            <Notice
              tone={connection.state === "waiting" ? "warn" : "bad"}
              title={connection.reason}
              role="status"
            >
              {connection.remedy}
            </Notice>
          )}
          <dl className="figures" style={{ margin: 0 }}>
            {(
              [
                ["records", count(connection.records)],
                ["waiting", count(connection.waiting)],
                ["dead", count(connection.dead)],
                [
                  "lastSuccess",
                  connection.last_success_at ? <When key="at" at={connection.last_success_at} /> : "–",
                ],
              ] as const
            ).map(([key, value]) => (
              <div className="figure" key={key}>
                <dt>{t(`crm.${key}`)}</dt>
                <dd
                  className="figureValue"
                  style={{
                    marginLeft: 0,
                    color: key === "dead" && connection.dead ? "var(--bad)" : undefined,
                  }}
                >
                  {value}
                </dd>
              </div>
            ))}
          </dl>
          <section className="panel" aria-label={name}>
            <Tabs
              value={tab}
              keepMounted={false}
              onChange={(next) =>
                void navigate({
                  search: {
                    tab: next === "queue" || next === "dead-letters" || next === "mapping" ? next : undefined,
                  },
                  replace: true,
                })
              }
            >
              <Tabs.List
                className="tabs"
                style={{ flexWrap: "nowrap", overflowX: "auto", overflowY: "hidden" }}
              >
                {TABS.map((one) => (
                  <Tabs.Tab key={one} value={one}>
                    {t(`crm.tab.${one}`)}
                    {one === "dead-letters" && connection.dead > 0 ? ` (${count(connection.dead)})` : ""}
                    {one === "queue" && connection.waiting > 0 ? ` (${count(connection.waiting)})` : ""}
                  </Tabs.Tab>
                ))}
              </Tabs.List>
              <Tabs.Panel value="records">
                <Records connection={connection} />
              </Tabs.Panel>
              <Tabs.Panel value="queue">
                <Queue name={name} />
              </Tabs.Panel>
              <Tabs.Panel value="dead-letters">
                <DeadLetters name={name} />
              </Tabs.Panel>
              <Tabs.Panel value="mapping">
                <Mapping connection={connection} />
              </Tabs.Panel>
            </Tabs>
          </section>
        </div>
      )}
    </Page>
  );
}

function Records({ connection }: { connection: Connection }) {
  const { t } = useTranslation();
  const { q = "" } = useSearch({ from: "/shell/crm/$name" });
  const navigate = useNavigate({ from: "/crm/$name" });
  const query = useInfiniteQuery(recordsQuery(connection.name, q));
  const fields = connection.fields
    .map(({ field }) => field)
    .filter((field) => field !== "email")
    .slice(0, 3);
  return (
    <>
      <div className="toolbar">
        <SearchField
          value={q}
          onChange={(text) => navigate({ search: { q: text || undefined }, replace: true })}
          label={t("crm.searchRecords")}
          placeholder={t("crm.searchRecordsHint")}
        />
      </div>
      <Loaded query={query} lines={8}>
        {({ pages }) => {
          const records = pages.flatMap((page) => page.records);
          return records.length === 0 ? (
            <Empty
              icon={<IconAddressBook size={22} />}
              title={q ? t("list.noMatch", { q }) : t("crm.noRecords")}
            >
              {q ? t("list.noMatchRemedy") : t("crm.noRecordsRemedy")}
            </Empty>
          ) : (
            <>
              <Rows
                label={t("crm.records")}
                linked
                rows={records}
                rowKey={({ record_id }) => record_id}
                columns={[
                  {
                    name: t("crm.record"),
                    cell: (record) => (
                      <>
                        {record.profile ? (
                          <Link to="/profiles/$id" params={{ id: record.profile }} className="rowLink">
                            {record.email ?? record.record_id}
                          </Link>
                        ) : (
                          (record.email ?? record.record_id)
                        )}
                        <Text size="xs" c="dimmed">
                          {t("crm.recordId", { id: record.record_id })}
                        </Text>
                      </>
                    ),
                  },
                  ...fields.map((field) => ({
                    name: field,
                    wide: true,
                    cell: (record: (typeof records)[number]) =>
                      record.fields[field] === undefined ? "–" : plain(record.fields[field]),
                  })),
                  { name: t("crm.synced"), number: true, cell: (record) => <When at={record.synced_at} /> },
                ]}
              />
              <More shown={records.length} total={q ? undefined : connection.records} query={query} />
            </>
          );
        }}
      </Loaded>
    </>
  );
}

function Queue({ name }: { name: string }) {
  const { t } = useTranslation();
  const query = useInfiniteQuery(queueQuery(name));
  return (
    <Loaded query={query}>
      {({ pages }) => {
        const waiting = pages.flatMap((page) => page.waiting);
        return waiting.length === 0 ? (
          <Empty icon={<IconClockCheck size={22} />} title={t("crm.noQueue")}>
            {t("crm.noQueueRemedy")}
          </Empty>
        ) : (
          <>
            <Rows
              label={t("crm.tab.queue")}
              linked
              rows={waiting}
              rowKey={({ profile }) => profile}
              columns={[
                {
                  name: t("profiles.person"),
                  cell: (entry) => (
                    <Link to="/profiles/$id" params={{ id: entry.profile }} className="rowLink mono">
                      {entry.profile}
                    </Link>
                  ),
                },
                {
                  name: t("crm.lastError"),
                  wide: true,
                  cell: (entry) =>
                    entry.last_error ?? (
                      <Text size="sm" c="dimmed">
                        {t("crm.notTried")}
                      </Text>
                    ),
                },
                { name: t("crm.attempts"), number: true, cell: (entry) => count(entry.attempts) },
                { name: t("crm.due"), number: true, cell: (entry) => <When at={entry.due_at} /> },
              ]}
            />
            <More shown={waiting.length} query={query} />
          </>
        );
      }}
    </Loaded>
  );
}

function Mapping({ connection }: { connection: Connection }) {
  const { t } = useTranslation();
  return (
    <Rows
      label={t("crm.tab.mapping")}
      rows={connection.fields}
      rowKey={({ field }) => field}
      columns={[
        { name: t("crm.field"), cell: ({ field }) => <b style={{ fontWeight: 550 }}>{field}</b> },
        { name: t("crm.from"), cell: ({ from }) => <span className="mono">{from}</span> },
        { name: t("crm.direction"), cell: ({ direction }) => t(`crm.directions.${direction}`) },
      ]}
    />
  );
}
