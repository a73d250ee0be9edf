import { Select, Text } from "@mantine/core";
import { IconFileCode } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { definitionsFolderQuery, definitionsQuery } from "../api/queries";
import type { Definition, DefinitionsFolder } from "../api/types";
import { count, title, words } from "../format";
import { SearchField, When } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Empty, Loaded, Notice } from "../parts/States";

export function Definitions() {
  const { t } = useTranslation();
  const query = useQuery(definitionsQuery);
  const folder = useQuery(definitionsFolderQuery);
  return (
    <Page title={t("definitions.title")} about={t("definitions.about")}>
      {folder.data && <Folder folder={folder.data} />}
      <Panel label={t("definitions.title")} flush>
        <Loaded query={query}>{({ definitions }) => <Listed definitions={definitions} />}</Loaded>
      </Panel>
    </Page>
  );
}

/** Whether what is in force is what the files say, where that is known. */
function Folder({ folder }: { folder: DefinitionsFolder }) {
  const { t } = useTranslation();
  const { flaws, differences, kept } = folder;
  if (folder.folder === null) {
    return (
      <Text size="sm" c="dimmed" mb="md">
        {t("definitions.notFollowed")}
      </Text>
    );
  }
  if (flaws.length === 0 && differences.length === 0 && kept.length === 0) {
    return (
      <Text size="sm" c="dimmed" mb="md">
        {t("definitions.followed", { folder: folder.folder })}
      </Text>
    );
  }
  return (
    <div style={{ marginBottom: 16 }}>
      <Notice
        tone="warn"
        role="status"
        title={t(flaws.length > 0 ? "definitions.flawed" : "definitions.differs", { folder: folder.folder })}
      >
        <ul style={{ margin: "4px 0 0", paddingInlineStart: 18, overflowWrap: "anywhere" }}>
          {flaws.map((one) => (
            <li key={`${one.file}:${one.line}:${one.column}:${one.what}`}>
              {one.line > 0 ? `${one.file}:${one.line}:${one.column}` : one.file}: {one.rule} {one.what}
            </li>
          ))}
          {differences.map((one) => (
            <li key={`${one.kind} ${one.name} ${one.version}`}>
              {t(
                one.missing
                  ? "definitions.missing"
                  : one.drifted
                    ? "definitions.drifted"
                    : "definitions.different",
                { one: `${words(one.kind)} ${one.name}`, place: one.place },
              )}
            </li>
          ))}
          {kept.map((one) => (
            <li key={one}>{t("definitions.kept", { one })}</li>
          ))}
        </ul>
      </Notice>
    </div>
  );
}

function Listed({ definitions }: { definitions: Definition[] }) {
  const { t } = useTranslation();
  const { kind, q = "" } = useSearch({ from: "/shell/definitions" });
  const navigate = useNavigate({ from: "/definitions" });
  const set = (change: { kind?: string; q?: string }) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  if (definitions.length === 0) {
    return (
      <Empty icon={<IconFileCode size={22} />} title={t("definitions.none")}>
        {t("definitions.noneRemedy")}
      </Empty>
    );
  }
  const kinds = [...new Set(definitions.map((one) => one.kind))];
  const shown = definitions.filter(
    (one) =>
      (kind === undefined || one.kind === kind) &&
      `${one.name} ${one.description}`.toLowerCase().includes(q.toLowerCase()),
  );
  return (
    <>
      <div className="toolbar">
        <SearchField
          value={q}
          onChange={(text) => set({ q: text || undefined })}
          label={t("definitions.search")}
          placeholder={t("definitions.searchHint")}
        />
        <Select
          aria-label={t("definitions.filter")}
          data={[
            { value: "", label: t("definitions.all", { shown: count(definitions.length) }) },
            ...kinds.map((value) => ({ value, label: title(value) })),
          ]}
          value={kind ?? ""}
          onChange={(value) => set({ kind: value || undefined })}
          allowDeselect={false}
        />
      </div>
      {shown.length === 0 ? (
        <Empty icon={<IconFileCode size={22} />} title={t("definitions.noMatch")} />
      ) : (
        <Rows
          label={t("definitions.title")}
          linked
          rows={shown}
          rowKey={({ kind, name, version }) => `${kind} ${name} ${version}`}
          columns={[
            {
              name: t("definitions.name"),
              width: "46%",
              cell: (one) => (
                <>
                  <Link
                    to="/definitions/$kind/$name"
                    params={{ kind: one.kind, name: one.name }}
                    search={{ version: one.version ?? undefined }}
                    className="rowLink"
                  >
                    {one.version === null ? one.name : `${one.name} ${one.version}`}
                  </Link>
                  {one.description && (
                    <Text size="xs" c="dimmed">
                      {one.description}
                    </Text>
                  )}
                </>
              ),
            },
            { name: t("definitions.kind"), cell: (one) => title(one.kind) },
            { name: t("definitions.project"), wide: true, cell: (one) => one.project },
            { name: t("definitions.applied"), number: true, cell: (one) => <When at={one.changed_at} /> },
          ]}
        />
      )}
    </>
  );
}
