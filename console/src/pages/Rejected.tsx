import { Button, Group, Modal, Select, Text, Textarea } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconChevronRight, IconMoodCheck, IconRefresh } from "@tabler/icons-react";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "../api/client";
import { type RejectedFilter, rejectedCountsQuery, rejectedQuery } from "../api/queries";
import type { RejectedEvent } from "../api/types";
import { count } from "../format";
import { Facts, Status, When } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { Empty, explain, Loaded, More } from "../parts/States";

const STATES = ["open", "waiting", "replayed"] as const;
const TONES = { open: "bad", waiting: "warn", replayed: "good" } as const;

type Replay = { ids: string[]; event?: string } | { all: true; source?: string; code?: string };

export function Rejected() {
  const { t } = useTranslation();
  const navigate = useNavigate({ from: "/rejected" });
  const filter = useSearch({ from: "/shell/rejected" });
  const counts = useQuery(rejectedCountsQuery).data?.counts ?? [];
  const query = useInfiniteQuery(rejectedQuery(filter));
  const [sure, setSure] = useState(false);
  const replay = useReplay();
  const set = (change: RejectedFilter) =>
    navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const names = (of: "source" | "code") => [...new Set(counts.map((one) => one[of]))].sort();
  const open = counts
    .filter((one) => one.state === "open")
    .filter(
      (one) => (!filter.source || one.source === filter.source) && (!filter.code || one.code === filter.code),
    )
    .reduce((sum, one) => sum + one.count, 0);
  const filtered = Boolean(filter.source || filter.code || filter.state);
  return (
    <Page
      title={t("rejected.title")}
      about={t("rejected.about")}
      actions={
        <Button
          leftSection={<IconRefresh size={16} />}
          disabled={open === 0}
          loading={replay.isPending}
          onClick={() => setSure(true)}
        >
          {t("rejected.sendAll")}
        </Button>
      }
    >
      <Panel label={t("rejected.title")} flush>
        <div className="toolbar">
          <Choice
            label={t("rejected.source")}
            any={t("rejected.anySource")}
            data={names("source")}
            value={filter.source}
            onChange={(source) => set({ source })}
          />
          <Choice
            label={t("rejected.code")}
            any={t("rejected.anyCode")}
            data={names("code")}
            value={filter.code}
            onChange={(code) => set({ code })}
          />
          <Choice
            label={t("rejected.stateTitle")}
            any={t("rejected.all")}
            data={STATES.map((state) => ({ value: state, label: t(`rejected.state.${state}`) }))}
            value={filter.state}
            onChange={(state) => set({ state: STATES.find((one) => one === state) })}
          />
        </div>
        {counts.length > 0 && (
          <ul className="kinds" aria-label={t("rejected.counts")}>
            {counts.map((one) => (
              <li key={`${one.source} ${one.code} ${one.state}`}>
                <button
                  type="button"
                  className="kind"
                  onClick={() => set({ source: one.source, code: one.code, state: one.state })}
                >
                  <b>{count(one.count)}</b> {one.source} · {one.code}
                  <Status tone={TONES[one.state]}>{t(`rejected.state.${one.state}`)}</Status>
                </button>
              </li>
            ))}
          </ul>
        )}
        <Loaded query={query}>
          {({ pages }) => {
            const events = pages.flatMap((page) => page.rejected);
            return events.length === 0 ? (
              <Empty
                icon={<IconMoodCheck size={22} />}
                title={t(filtered ? "rejected.noMatch" : "rejected.none")}
              >
                {t(filtered ? "rejected.noMatchAbout" : "rejected.noneAbout")}
              </Empty>
            ) : (
              <>
                <ul style={{ listStyle: "none", margin: 0, padding: 0 }}>
                  {events.map((event) => (
                    <Item
                      key={event.id}
                      event={event}
                      busy={replay.isPending}
                      onSend={(edited) => replay.mutate({ ids: [event.id], event: edited })}
                    />
                  ))}
                </ul>
                <More shown={events.length} query={query} />
              </>
            );
          }}
        </Loaded>
      </Panel>
      <Modal
        opened={sure}
        onClose={() => setSure(false)}
        title={t("rejected.sure")}
        closeButtonProps={{ "aria-label": t("action.close") }}
        centered
      >
        <Text size="sm">{t("rejected.sureAbout")}</Text>
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button onClick={() => setSure(false)}>{t("action.cancel")}</Button>
          <Button
            variant="filled"
            data-autofocus
            onClick={() => {
              setSure(false);
              replay.mutate({ all: true, source: filter.source, code: filter.code });
            }}
          >
            {t("rejected.sendAll")} ({count(open)})
          </Button>
        </Group>
      </Modal>
    </Page>
  );
}

function useReplay() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (what: Replay) => answer(api.POST("/v1/rejected-events/replay", { body: what })),
    onSuccess: async ({ asked }) => {
      notifications.show({ message: t("rejected.asked", { count: asked }), color: "verdigris" });
      await queries.invalidateQueries({ queryKey: ["rejected"] });
    },
    onError: (error) => {
      const { detail, remedy } = explain(error);
      notifications.show({ title: detail, message: remedy, color: "red", autoClose: false });
    },
  });
}

function Choice(props: {
  label: string;
  any: string;
  data: (string | { value: string; label: string })[];
  value: string | undefined;
  onChange: (value: string | undefined) => void;
}) {
  const { t } = useTranslation();
  return (
    <Select
      aria-label={props.label}
      placeholder={props.any}
      data={props.data}
      value={props.value ?? null}
      onChange={(value) => props.onChange(value ?? undefined)}
      clearable
      clearButtonProps={{ "aria-label": t("action.clear") }}
      className="filter"
    />
  );
}

function Item(props: { event: RejectedEvent; busy: boolean; onSend: (edited: string | undefined) => void }) {
  const { t } = useTranslation();
  const { event } = props;
  const [shown, setShown] = useState(false);
  const [edited, setEdited] = useState<string>();
  const sent = event.correction ?? event.body;
  const settled = event.state !== "open";
  return (
    <li className="eventItem">
      <Group wrap="nowrap" gap={12} px="md" py={10} align="flex-start">
        <button type="button" className="plain" aria-expanded={shown} onClick={() => setShown(!shown)}>
          <IconChevronRight size={16} className="chevron" aria-hidden />
          <span style={{ minWidth: 0 }}>
            <b style={{ fontWeight: 550, overflowWrap: "anywhere" }}>{event.reason}</b>
            <Text size="xs" c="dimmed" component="span" display="block" mt={2}>
              {event.source} · {event.code} · <When at={event.received_at} />
              {event.settled_at && event.state === "open" && (
                <>
                  {" · "}
                  {t("rejected.settled")} <When at={event.settled_at} />
                </>
              )}
            </Text>
          </span>
        </button>
        {settled ? (
          <Status tone={TONES[event.state]}>{t(`rejected.state.${event.state}`)}</Status>
        ) : (
          <Button size="xs" disabled={props.busy} onClick={() => props.onSend(undefined)}>
            {t("rejected.send")}
          </Button>
        )}
      </Group>
      {shown && (
        <div className="rejectedOpen">
          <Facts
            facts={[
              [t("rejected.field"), event.field ?? "–"],
              [t("rejected.message"), event.message_id ?? "–"],
              [t("rejected.received"), <When key="received" at={event.received_at} />],
            ]}
          />
          <Textarea
            mt="sm"
            label={t("rejected.what")}
            description={event.field === "$" ? t("rejected.cut") : undefined}
            value={edited ?? sent}
            readOnly={settled}
            onChange={(change) => setEdited(change.currentTarget.value)}
            autosize
            minRows={4}
            maxRows={16}
            spellCheck={false}
            styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 12.5 } }}
          />
          {!settled && edited !== undefined && edited !== sent && (
            <Group mt="xs" gap="xs" justify="flex-end">
              <Button size="xs" onClick={() => setEdited(undefined)}>
                {t("rejected.reset")}
              </Button>
              <Button size="xs" variant="filled" loading={props.busy} onClick={() => props.onSend(edited)}>
                {t("rejected.sendEdited")}
              </Button>
            </Group>
          )}
        </div>
      )}
    </li>
  );
}
