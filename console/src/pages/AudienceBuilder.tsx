import { Button, Group, Text, TextInput } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { audiencesQuery, definitionQuery } from "../api/queries";
import type { Audience, DefinitionDocument } from "../api/types";
import { ConditionEditor } from "../builder/ConditionEditor";
import { CountsProvider } from "../builder/context";
import { emptyQuery, emptyRule, fromTree, missing, type Query, toTree } from "../builder/drafts";
import { SuggestedNames, useSuggestions } from "../builder/names";
import { numbers } from "../builder/numbers";
import { Overlaps, Reached, Sample } from "../builder/Outcome";
import { NotSaved, Save, whereOf } from "../builder/Save";
import { SqlEditor } from "../builder/SqlEditor";
import { type Asked, usePreview } from "../builder/usePreview";
import { definitionFile } from "../builder/yaml";
import { title } from "../format";
import { Copy } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { explain, Loaded, Loading } from "../parts/States";

/** An address longer than this is cut off by some browsers and proxies. */
const LONGEST_ADDRESS = 1_500;

export function AudienceBuilder() {
  const { t } = useTranslation();
  const { from, edit, sql } = useSearch({ from: "/shell/audiences/new" });
  const audiences = useQuery({ ...audiencesQuery, enabled: from !== undefined && edit === undefined });
  const edited = useQuery({
    ...definitionQuery("audience", edit ?? ""),
    enabled: edit !== undefined,
    // What is edited stays what it was made of: a change by somebody else is told when it is saved.
    staleTime: Number.POSITIVE_INFINITY,
    refetchInterval: false,
  });
  const [begun] = useState(sql);
  if (edit !== undefined) {
    return edited.data === undefined ? (
      <Page title={t("builder.editing", { name: title(edit) })}>
        <Panel>{edited.error ? <Loaded query={edited}>{() => null}</Loaded> : <Loading />}</Panel>
      </Page>
    ) : (
      <Builder edited={edited.data} sql={begun} />
    );
  }
  if (from === undefined || begun !== undefined) return <Builder sql={begun} />;
  if (audiences.data === undefined) {
    return (
      <Page title={t("builder.title")} back={{ to: "/audiences", label: t("audiences.title") }}>
        <Panel>{audiences.error ? <Loaded query={audiences}>{() => null}</Loaded> : <Loading />}</Panel>
      </Page>
    );
  }
  return <Builder copied={audiences.data.audiences.find(({ name }) => name === from)} absent={from} />;
}

function start(condition: unknown): Query {
  return condition === undefined ? { ...emptyQuery(), rules: [emptyRule("trait")] } : fromTree(condition);
}

function Builder(props: { copied?: Audience; absent?: string; edited?: DefinitionDocument; sql?: string }) {
  const { copied, absent, edited: stored, sql: begun } = props;
  const { t } = useTranslation();
  const navigate = useNavigate({ from: "/audiences/new" });
  const suggestions = useSuggestions();
  const [name, setName] = useState(stored?.name ?? (copied ? `${copied.name}_copy` : ""));
  const [about, setAbout] = useState(stored?.description ?? copied?.description ?? "");
  const [query, setQuery] = useState<Query>(() => start(stored ? whereOf(stored) : copied?.condition));
  const [sql, setSql] = useState(begun ?? "");
  const [edited, setEdited] = useState<"tree" | "sql">(begun === undefined ? "tree" : "sql");
  const [known, setKnown] = useState<ReadonlyMap<string, number>>(new Map());

  const written = useMemo(() => toTree(query), [query]);
  const asked: Asked | null =
    edited === "sql"
      ? sql.trim() === ""
        ? null
        : { sql }
      : written === null
        ? null
        : { where: written.tree };
  const { counts, overlaps, key, fresh } = usePreview(asked);
  const found = key === null ? undefined : counts.data;

  // What one side says is shown on the other once the API has read it.
  const taken = useRef<string | null>(null);
  useEffect(() => {
    if (!fresh || counts.data === undefined || taken.current === key) return;
    taken.current = key;
    const { condition, node, sql: said } = counts.data;
    if (edited === "tree") {
      setSql(said);
      if (written !== null) setKnown(numbers(written, node));
    } else {
      const read = fromTree(condition);
      const again = toTree(read);
      setQuery(read);
      if (again !== null) setKnown(numbers(again, node));
    }
    const address = said.length <= LONGEST_ADDRESS ? said : undefined;
    void navigate({ search: (before) => ({ ...before, sql: address }), replace: true, resetScroll: false });
  }, [fresh, counts.data, key, edited, written, navigate]);

  const change = (next: Query) => {
    setEdited("tree");
    setQuery(next);
    if (toTree(next) === null) setSql("");
  };
  const wrong = edited === "sql" && sql.trim() !== "" && fresh && counts.error !== null;
  const left = missing(query);
  const unknownCopy = absent !== undefined && copied === undefined;
  return (
    <Page
      title={
        stored
          ? t("builder.editing", { name: title(stored.name) })
          : copied
            ? t("builder.copyOf", { name: title(copied.name) })
            : t("builder.title")
      }
      about={unknownCopy ? t("builder.noSuch", { name: absent }) : t("builder.about")}
      back={{ to: "/audiences", label: t("audiences.title") }}
    >
      <SuggestedNames value={suggestions}>
        <CountsProvider value={{ known, stale: !fresh && key !== null }}>
          <div className="split wideLeft builderPage">
            <div className="split">
              <Panel title={t("builder.condition")}>
                <ConditionEditor of="person" label={t("builder.condition")} query={query} onChange={change} />
                {edited === "tree" && counts.error && key !== null && (
                  <Text size="sm" c="var(--bad)" mt={10} role="alert">
                    {explain(counts.error).detail.replace(/^where: /, "")}
                  </Text>
                )}
              </Panel>
              <File
                name={name}
                about={about}
                where={wrong ? undefined : written?.tree}
                ready={edited === "tree" || fresh}
                stored={stored}
                left={left}
                note={
                  wrong
                    ? t("builder.notCounted")
                    : left > 0
                      ? t("builder.leftOut", { count: left })
                      : written
                        ? t(stored ? "builder.keepEdited" : "builder.keep")
                        : t("builder.nothingYet")
                }
                onName={setName}
                onAbout={setAbout}
              />
            </div>
            <div className="split">
              <Reached found={found} fresh={fresh} error={key === null ? null : counts.error} />
              <Panel title={t("builder.sql")} aside={sql && <Copy text={sql} label={t("builder.copySql")} />}>
                <SqlEditor
                  value={sql}
                  error={edited === "sql" && fresh ? counts.error : null}
                  onChange={(next) => {
                    setEdited("sql");
                    setSql(next);
                    if (next.trim() === "") setQuery(emptyQuery());
                  }}
                />
              </Panel>
              <Sample found={found} fresh={fresh} />
              <Overlaps
                found={found === undefined ? undefined : overlaps.data}
                fresh={fresh && !overlaps.isPlaceholderData}
                waiting={found !== undefined}
                error={overlaps.error}
              />
            </div>
          </div>
        </CountsProvider>
      </SuggestedNames>
    </Page>
  );
}

/** The definition as a file: named, copied, downloaded. */
function File(props: {
  name: string;
  about: string;
  where: unknown;
  /** Whether it says what is written now. */
  ready: boolean;
  /** What it is made of, and saved upon. */
  stored: DefinitionDocument | undefined;
  /** How many conditions are not whole. */
  left: number;
  note: string;
  onName: (name: string) => void;
  onAbout: (about: string) => void;
}) {
  const { t } = useTranslation();
  const name = props.name.trim() || "new_audience";
  const [failed, setFailed] = useState<unknown>(null);
  const text =
    props.where === undefined ? "" : definitionFile("audience", name, props.about, { where: props.where });
  return (
    <Panel
      className="builderFile"
      title={t("builder.definition")}
      aside={
        text &&
        props.ready && (
          <Group gap={6}>
            <Save
              name={props.name.trim()}
              about={props.about.trim()}
              where={props.where}
              stored={props.stored}
              whole={props.left === 0}
              onFailed={setFailed}
            />
            <Copy text={text} label={t("builder.copyYaml")} />
            <Button
              size="compact-xs"
              leftSection={<IconDownload size={14} aria-hidden />}
              onClick={() => download(`${name.replace(/[^\w-]+/g, "_")}.yml`, text)}
            >
              {t("builder.download")}
            </Button>
          </Group>
        )
      }
    >
      <Group gap={10} mb={12} align="flex-start">
        <TextInput
          className="grow"
          label={t("builder.called")}
          placeholder="new_audience"
          value={props.name}
          readOnly={props.stored !== undefined}
          onChange={(event) => props.onName(event.currentTarget.value)}
        />
        <TextInput
          className="grow"
          style={{ flexGrow: 2 }}
          label={t("builder.description")}
          value={props.about}
          onChange={(event) => props.onAbout(event.currentTarget.value)}
        />
      </Group>
      {failed !== null && <NotSaved error={failed} />}
      {text && (
        <section
          className="code"
          aria-label={t("builder.yaml")}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
          tabIndex={0}
          data-stale={!props.ready || undefined}
        >
          <code>{text}</code>
        </section>
      )}
      <Text size="xs" c="dimmed" mt={text ? 8 : 0}>
        {props.note}
      </Text>
    </Panel>
  );
}

function download(name: string, text: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
