import { Button, Group, Modal, Progress, Select, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "../api/client";
import { loadQuery } from "../api/queries";
import type { Load, LoadMapping } from "../api/types";
import { count } from "../format";
import { LoadColumns } from "../parts/LoadColumns";
import { LoadStatus } from "../parts/LoadStatus";
import { Page, Panel } from "../parts/Page";
import { explain, Loaded, Notice } from "../parts/States";

export function LoadPage() {
  const { t } = useTranslation();
  const { id } = useParams({ from: "/shell/loads/$id" });
  const query = useQuery(loadQuery(id));
  return (
    <Page
      title={query.data?.name ?? t("loads.title")}
      about={query.data && <LoadStatus state={query.data.state} />}
      back={{ to: "/loads", label: t("loads.title") }}
    >
      <Loaded query={query}>{(load) => <Shown key={load.id} load={load} />}</Loaded>
    </Page>
  );
}

function Shown({ load }: { load: Load }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [draft, setDraft] = useState<LoadMapping>();
  const [sure, setSure] = useState(false);
  const work = useWork(load.id);
  const path = { params: { path: { load: load.id } } };
  const running = load.state === "running";
  const mapping = draft ?? load.mapping;
  const begun = load.position > 0 || running;

  const save = () =>
    work.mutate(async () => {
      if (!draft) return;
      await answer(api.PUT("/v1/loads/{load}/mapping", { ...path, body: draft }));
      setDraft(undefined);
      notifications.show({ message: t("load.saved"), color: "verdigris" });
    });
  const remove = () =>
    work.mutate(async () => {
      await answer(api.DELETE("/v1/loads/{load}", path));
      notifications.show({ message: t("load.removed", { name: load.name }), color: "verdigris" });
      await navigate({ to: "/loads" });
    });

  return (
    <Stack gap="md">
      {load.message && <Notice tone="warn">{load.message}</Notice>}
      {load.notes.map((note) => (
        <Notice key={note} tone="good">
          {note}
        </Notice>
      ))}
      {begun && <Course load={load} />}
      {mapping && (
        <Panel title={t("load.columns")} flush>
          <div className="panelBody">
            <Kind mapping={mapping} disabled={running} onChange={setDraft} />
          </div>
          {mapping.type !== "events" && (
            <LoadColumns load={load} mapping={mapping} disabled={running} onChange={setDraft} />
          )}
        </Panel>
      )}
      <Group gap="xs">
        {running ? (
          <Button
            loading={work.isPending}
            onClick={() => work.mutate(() => answer(api.POST("/v1/loads/{load}/stop", path)))}
          >
            {t("load.stop")}
          </Button>
        ) : (
          <>
            {draft ? (
              <Button variant="filled" loading={work.isPending} onClick={save}>
                {t("load.save")}
              </Button>
            ) : (
              load.mapping && (
                <Button variant="filled" disabled={work.isPending} onClick={() => setSure(true)}>
                  {t(load.state === "stopped" ? "load.goOn" : "load.start")}
                </Button>
              )
            )}
            {load.mapping && !draft && (
              <Button
                loading={work.isPending}
                onClick={() => work.mutate(() => answer(api.POST("/v1/loads/{load}/try", path)))}
              >
                {t("load.try")}
              </Button>
            )}
            <Button disabled={work.isPending} onClick={remove}>
              {t("load.remove")}
            </Button>
          </>
        )}
        {draft && (
          <Text size="sm" c="dimmed">
            {t("load.unsaved")}
          </Text>
        )}
      </Group>
      {load.trial && !draft && <Trial trial={load.trial} />}
      <Modal
        opened={sure}
        onClose={() => setSure(false)}
        title={t("load.startSure", { name: load.name })}
        closeButtonProps={{ "aria-label": t("action.close") }}
        centered
      >
        <Notice tone="warn">{t("load.startAbout")}</Notice>
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button onClick={() => setSure(false)}>{t("action.cancel")}</Button>
          <Button
            variant="filled"
            data-autofocus
            onClick={() => {
              setSure(false);
              work.mutate(() => answer(api.POST("/v1/loads/{load}/start", path)));
            }}
          >
            {t("load.start")}
          </Button>
        </Group>
      </Modal>
    </Stack>
  );
}

/** Something that is done with the load; a failure is told in the API's words. */
function useWork(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (work: () => Promise<unknown>) => work(),
    onSettled: () => queries.invalidateQueries({ queryKey: loadQuery(id).queryKey }),
    onError: (error) => {
      const { detail, remedy } = explain(error);
      notifications.show({ title: detail, message: remedy, color: "red", autoClose: false });
    },
  });
}

function Kind(props: { mapping: LoadMapping; disabled: boolean; onChange: (mapping: LoadMapping) => void }) {
  const { t } = useTranslation();
  const { mapping, disabled } = props;
  const change = (changed: Partial<LoadMapping>) => props.onChange({ ...mapping, ...changed });
  return (
    <SimpleGrid cols={{ base: 1, sm: 2, lg: 4 }} spacing="sm">
      <Select
        label={t("load.kind")}
        data={(["identify", "track", "events"] as const).map((value) => ({
          value,
          label: t(`load.kinds.${value}`),
        }))}
        value={mapping.type}
        allowDeselect={false}
        disabled={disabled}
        onChange={(type) => type && change({ type })}
      />
      {mapping.type === "track" && (
        <TextInput
          label={t("load.event")}
          placeholder={t("load.eventHint")}
          value={mapping.event ?? ""}
          disabled={disabled}
          onChange={(event) => change({ event: event.currentTarget.value })}
        />
      )}
      {mapping.type !== "events" && (
        <>
          <TextInput
            label={t("load.at")}
            placeholder={t("load.atHint")}
            value={mapping.at ?? ""}
            disabled={disabled}
            onChange={(event) => change({ at: event.currentTarget.value })}
          />
          <TextInput
            label={t("load.zone")}
            value={mapping.zone ?? "UTC"}
            disabled={disabled}
            onChange={(event) => change({ zone: event.currentTarget.value })}
          />
        </>
      )}
    </SimpleGrid>
  );
}

function Course({ load }: { load: Load }) {
  const { t } = useTranslation();
  return (
    <Panel title={t("load.progress")}>
      <Progress value={100 * load.position} aria-label={t("load.progress")} />
      <Text size="sm" mt="xs">
        {t("load.in", { rows: count(load.taken), refused: count(load.refused) })}
      </Text>
      {load.rejects && (
        <Text size="sm" mt="xs" c="dimmed">
          <a href={`/v1/loads/${load.id}/rejects`} download style={{ color: "var(--accent)" }}>
            {t("load.rejects")}
          </a>{" "}
          {t("load.rejectsAbout")}
        </Text>
      )}
    </Panel>
  );
}

function Trial({ trial }: { trial: NonNullable<Load["trial"]> }) {
  const { t } = useTranslation();
  return (
    <Panel title={t("load.trial")}>
      <Text size="sm">
        {t("load.wouldTake", { rows: count(trial.taken), refused: count(trial.refused) })}{" "}
        {t(trial.whole ? "load.ofAll" : "load.ofFirst")}
      </Text>
      {trial.reasons.map((one) => (
        <Text key={`${one.column} ${one.line}`} size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>
          {[t("load.line", { line: one.line }), one.column, one.reason].filter(Boolean).join(": ")} (
          {t("load.reasonRows", { count: one.rows })})
        </Text>
      ))}
      {trial.events.length > 0 && (
        <>
          <Text size="sm" fw={550} mt="md" mb={4}>
            {t("load.first")}
          </Text>
          {trial.events.map((event) => (
            <pre key={event} className="code" style={{ marginBottom: 8, maxWidth: "100%" }}>
              {event}
            </pre>
          ))}
        </>
      )}
    </Panel>
  );
}
