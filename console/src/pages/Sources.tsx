import { Button, Group, Modal, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconAccessPoint, IconPlus } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { TFunction } from "i18next";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "../api/client";
import { rejectedCountsQuery, sourcesQuery } from "../api/queries";
import type { Source } from "../api/types";
import { count } from "../format";
import { Copy, Status } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Empty, explain, Loaded, Notice } from "../parts/States";

type NewKey = { source: string; write_key: string; rotated: boolean };

export function Sources() {
  const { t } = useTranslation();
  const query = useQuery(sourcesQuery);
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState<NewKey>();
  const [retiring, setRetiring] = useState<string>();
  const work = useWork();
  const rotate = (name: string) =>
    work.mutate(async () => {
      const told = await answer(api.POST("/v1/sources/{name}/rotate", { params: { path: { name } } }));
      setMade({ ...told, rotated: true });
    });
  const retire = (name: string) =>
    work.mutate(async () => {
      await answer(api.POST("/v1/sources/{name}/retire", { params: { path: { name } } }));
      notifications.show({ message: t("sources.retired", { source: name }), color: "verdigris" });
    });
  return (
    <Page
      title={t("sources.title")}
      about={t("sources.about")}
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={() => setAdding(true)}>
          {t("sources.add")}
        </Button>
      }
    >
      <Panel label={t("sources.title")} flush>
        <Loaded query={query}>
          {({ sources }) =>
            sources.length === 0 ? (
              <Empty icon={<IconAccessPoint size={22} />} title={t("sources.none")}>
                {t("sources.noneAbout")}
              </Empty>
            ) : (
              <Listed sources={sources} busy={work.isPending} onRotate={rotate} onRetire={setRetiring} />
            )
          }
        </Loaded>
      </Panel>
      <Adding
        opened={adding}
        onClose={() => setAdding(false)}
        busy={work.isPending}
        onAdd={(name) =>
          work.mutate(async () => {
            const told = await answer(api.POST("/v1/sources", { body: { name } }));
            setAdding(false);
            setMade({ ...told, rotated: false });
          })
        }
      />
      <Modal
        opened={made !== undefined}
        onClose={() => setMade(undefined)}
        title={t("sources.shownOnce", { source: made?.source })}
        closeButtonProps={{ "aria-label": t("action.close") }}
        centered
      >
        {made && (
          <>
            <Group gap="xs" wrap="nowrap">
              <code className="secret">{made.write_key}</code>
              <Copy text={made.write_key} label={t("sources.copy")} />
            </Group>
            <Text size="sm" mt="sm">
              {t("sources.shownOnceAbout")} {made.rotated && t("sources.keyStays")}
            </Text>
          </>
        )}
      </Modal>
      <Modal
        opened={retiring !== undefined}
        onClose={() => setRetiring(undefined)}
        title={t("sources.retireSure", { source: retiring })}
        closeButtonProps={{ "aria-label": t("action.close") }}
        centered
      >
        <Notice tone="warn">{t("sources.retireAbout")}</Notice>
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button onClick={() => setRetiring(undefined)}>{t("action.cancel")}</Button>
          <Button
            variant="filled"
            data-autofocus
            onClick={() => {
              if (retiring) retire(retiring);
              setRetiring(undefined);
            }}
          >
            {t("sources.retire")}
          </Button>
        </Group>
      </Modal>
    </Page>
  );
}

/** Something that changes a source; a failure is told in the API's words. */
function useWork() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (work: () => Promise<void>) => work(),
    // Files are looked at twice a second, and what is in force once.
    onSuccess: () => setTimeout(() => queries.invalidateQueries({ queryKey: ["sources"] }), 1_800),
    onError: (error) => {
      const { detail, remedy } = explain(error);
      notifications.show({ title: detail, message: remedy, color: "red", autoClose: false });
    },
  });
}

function Listed(props: {
  sources: Source[];
  busy: boolean;
  onRotate: (name: string) => void;
  onRetire: (name: string) => void;
}) {
  const { t } = useTranslation();
  const counts = useQuery(rejectedCountsQuery).data?.counts ?? [];
  const rejected = (name: string) =>
    counts
      .filter((one) => one.source === name && one.state === "open")
      .reduce((sum, one) => sum + one.count, 0);
  return (
    <Rows
      label={t("sources.title")}
      rows={props.sources}
      rowKey={({ name }) => name}
      columns={[
        {
          name: t("sources.name"),
          width: "22%",
          cell: (source) => (
            <>
              <b style={{ fontWeight: 550, overflowWrap: "anywhere" }}>{source.name}</b>{" "}
              {!source.enabled && <Status tone="idle">{t("sources.disabled")}</Status>}
              {source.description && (
                <Text size="xs" c="dimmed">
                  {source.description}
                </Text>
              )}
            </>
          ),
        },
        {
          name: t("sources.rules"),
          wide: true,
          cell: (source) => (
            <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>
              {rulesOf(source, t).join(" · ")}
            </Text>
          ),
        },
        { name: t("sources.keys"), number: true, wide: true, cell: (source) => count(source.keys) },
        {
          name: t("sources.rejected"),
          number: true,
          cell: (source) => (
            <Link to="/rejected" search={{ source: source.name }} style={{ color: "var(--accent)" }}>
              {count(rejected(source.name))}
            </Link>
          ),
        },
        {
          name: t("sources.actions"),
          quiet: true,
          cell: (source) => (
            <Group gap="xs" justify="flex-end">
              {source.keys > 1 && (
                <Button size="xs" disabled={props.busy} onClick={() => props.onRetire(source.name)}>
                  {t("sources.retire")}
                </Button>
              )}
              <Button size="xs" disabled={props.busy} onClick={() => props.onRotate(source.name)}>
                {t("sources.rotate")}
              </Button>
            </Group>
          ),
        },
      ]}
    />
  );
}

function rulesOf(source: Source, t: TFunction<"console">): string[] {
  const { tracking_plan: plan, mode } = source;
  return [
    source.allowed_origins.length ? source.allowed_origins.join(", ") : t("sources.anyOrigin"),
    ...(plan && mode
      ? [t("sources.plan", { plan, mode: t(`sources.mode.${mode as "block" | "omit" | "allow"}`) })]
      : []),
    ...(source.drops_bots ? [t("sources.bots")] : []),
    ...(source.requests_per_second === null
      ? []
      : [t("sources.rate", { count: source.requests_per_second })]),
    ...Object.entries(source.limits).map(([name, value]) => `${name} ${count(value)}`),
  ];
}

function Adding(props: {
  opened: boolean;
  busy: boolean;
  onClose: () => void;
  onAdd: (name: string) => void;
}) {
  const { t } = useTranslation();
  const [name, setName] = useState("");
  const add = (event: FormEvent) => {
    event.preventDefault();
    props.onAdd(name.trim());
  };
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title={t("sources.add")}
      closeButtonProps={{ "aria-label": t("action.close") }}
      centered
    >
      <form onSubmit={add}>
        <TextInput
          label={t("sources.addName")}
          description={t("sources.addHint")}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
        />
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button onClick={props.onClose}>{t("action.cancel")}</Button>
          <Button type="submit" variant="filled" loading={props.busy} disabled={!name.trim()}>
            {t("sources.make")}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
