import { Button, Group, Modal, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconFileCode, IconPencil, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, answer, api } from "../api/client";
import { definitionQuery } from "../api/queries";
import type { DefinitionDocument } from "../api/types";
import { title } from "../format";
import { Copy, Facts, When } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { Empty, explain, Loaded, Notice } from "../parts/States";

/** The project of what is made here: no file says it. */
export const CONSOLE = "console";

export function DefinitionPage() {
  const { t } = useTranslation();
  const { kind, name } = useParams({ from: "/shell/definitions/$kind/$name" });
  const { version } = useSearch({ from: "/shell/definitions/$kind/$name" });
  const query = useQuery(definitionQuery(kind, name, version));
  const missing = query.error instanceof ApiError && query.error.status === 404 && !query.data;
  const [removing, setRemoving] = useState(false);
  const found = query.data;
  const own = found?.project === CONSOLE;
  return (
    <Page
      title={found?.version ? `${name} ${found.version}` : name}
      about={found?.description || title(kind)}
      back={{ to: "/definitions", label: t("definitions.title") }}
      actions={
        own && (
          <Group gap="xs">
            {kind === "audience" && (
              <Button
                leftSection={<IconPencil size={16} aria-hidden />}
                renderRoot={(props) => <Link to="/audiences/new" search={{ edit: name }} {...props} />}
              >
                {t("definition.edit")}
              </Button>
            )}
            <Button leftSection={<IconTrash size={16} aria-hidden />} onClick={() => setRemoving(true)}>
              {t("definition.remove")}
            </Button>
          </Group>
        )
      }
    >
      {missing ? (
        <Panel>
          <Empty icon={<IconFileCode size={22} />} title={t("definition.unknown", { kind, name })}>
            {t("definition.unknownRemedy")}
          </Empty>
        </Panel>
      ) : found ? (
        <Loaded query={query}>{(one) => <Told one={one} />}</Loaded>
      ) : (
        <Panel>
          <Loaded query={query} lines={8}>
            {() => null}
          </Loaded>
        </Panel>
      )}
      {found && <Removing one={found} opened={removing} onClose={() => setRemoving(false)} />}
    </Page>
  );
}

function Told({ one }: { one: DefinitionDocument }) {
  const { t } = useTranslation();
  return (
    <div className="split wideLeft">
      <Panel
        title={t("definition.document")}
        aside={<Copy text={one.yaml} label={t("definition.copyYaml")} />}
      >
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
        <section className="code" aria-label={t("definition.yaml")} tabIndex={0}>
          <code>{one.yaml}</code>
        </section>
      </Panel>
      <Panel title={t("definition.inForce")}>
        <Facts
          facts={[
            [t("definitions.kind"), title(one.kind)],
            [t("definitions.project"), one.project],
            [t("definition.changedBy"), one.changed_by],
            [t("definitions.applied"), <When key="when" at={one.changed_at} />],
            ...page(one).map(([label, link]): [string, ReactNode] => [t(label), link]),
          ]}
        />
        {one.project !== CONSOLE && (
          <Text size="sm" c="dimmed" mt={10}>
            {t("definition.ofFiles", { project: one.project })}
          </Text>
        )}
      </Panel>
    </div>
  );
}

/** Where one sees what it does. */
function page({ kind, name }: DefinitionDocument): ["definition.page", ReactNode][] {
  const params = { name };
  const style = { color: "var(--accent)" };
  switch (kind) {
    case "audience":
      return [
        [
          "definition.page",
          <Link key="page" to="/audiences/$name" params={params} style={style}>
            {title(name)}
          </Link>,
        ],
      ];
    case "trait":
      return [
        [
          "definition.page",
          <Link key="page" to="/traits/$name" params={params} style={style}>
            {title(name)}
          </Link>,
        ],
      ];
    default:
      return [];
  }
}

function Removing(props: { one: DefinitionDocument; opened: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const { kind, name, version, changed_in } = props.one;
  const queries = useQueryClient();
  const navigate = useNavigate();
  const work = useMutation({
    mutationFn: () =>
      answer(
        api.DELETE("/v1/definitions/{kind}/{name}", {
          params: { path: { kind, name }, query: { version: version ?? undefined } },
          headers: { "If-Match": `"${changed_in}"` },
        }),
      ),
    onSuccess: () => {
      notifications.show({
        message: t("definition.removed", { name }),
        color: "verdigris",
        closeButtonProps: { "aria-label": t("action.close") },
      });
      queries.removeQueries({ queryKey: ["definitions", "one", kind, name] });
      void queries.invalidateQueries({ queryKey: ["definitions"] });
      void navigate({ to: "/definitions" });
    },
  });
  const failed = work.error && explain(work.error);
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title={t("definition.removeSure", { name })}
      closeButtonProps={{ "aria-label": t("action.close") }}
      centered
    >
      <Notice tone="warn">{t("definition.removeAbout")}</Notice>
      {failed && (
        <Notice tone="bad" role="alert" title={failed.detail}>
          {failed.remedy}
        </Notice>
      )}
      <Group justify="flex-end" mt="lg" gap="xs">
        <Button onClick={props.onClose} data-autofocus>
          {t("action.cancel")}
        </Button>
        <Button variant="filled" loading={work.isPending} onClick={() => work.mutate()}>
          {t("definition.remove")}
        </Button>
      </Group>
    </Modal>
  );
}
