import { Group, Table, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { comparisonQuery, pastProfileQuery } from "../api/queries";
import type { Comparison, Profile } from "../api/types";
import { asInput, count, fromInput, instant, words } from "../format";
import { IdentifierChip, Value } from "./Bits";
import { Loaded, Notice } from "./States";

/** What is different of a profile at two times; now is the later one if none is chosen. */
export function Compare(props: { identifier: string; profile: Profile }) {
  const { t } = useTranslation();
  const { past, changed_at } = props.profile;
  const known = useQuery({ ...pastProfileQuery(props.identifier, changed_at), enabled: past === undefined });
  const [chosen, setFrom] = useState<string | undefined>(past?.as_of);
  const from = chosen ?? known.data?.past?.known_from;
  const [to, setTo] = useState<string>();
  const query = useQuery({
    ...comparisonQuery(props.identifier, from ?? "", to),
    enabled: from !== undefined,
  });
  return (
    <>
      <div className="toolbar">
        <Moment label={t("compare.from")} value={from} onChange={setFrom} />
        <Moment label={t("compare.to")} value={to} onChange={setTo} />
      </div>
      <div className="panelBody">
        {from === undefined ? (
          <Text c="dimmed" size="sm">
            {t("compare.choose")}
          </Text>
        ) : (
          <Loaded query={query} lines={6}>
            {(found) => <Differences found={found} />}
          </Loaded>
        )}
      </div>
    </>
  );
}

function Moment(props: {
  label: string;
  value: string | undefined;
  onChange: (value: string | undefined) => void;
}) {
  return (
    <TextInput
      type="datetime-local"
      step={1}
      label={props.label}
      value={props.value === undefined ? "" : asInput(props.value)}
      onChange={(event) => props.onChange(fromInput(event.currentTarget.value))}
    />
  );
}

function Differences({ found }: { found: Comparison }) {
  const { t } = useTranslation();
  const { identifiers, audiences } = found;
  const entries = [
    ...identifiers.added.map((one) => ({ ...one, sign: "+" })),
    ...identifiers.removed.map((one) => ({ ...one, sign: "−" })),
  ];
  const standings = [
    ...audiences.entered.map(({ name }) => ({ name, sign: "+" })),
    ...audiences.left.map(({ name }) => ({ name, sign: "−" })),
  ];
  return (
    <>
      <Text size="sm" c="dimmed" mb="sm" role="status">
        {t("compare.between", { from: instant(found.from), to: instant(found.to) })}{" "}
        {found.existed ? t("compare.events", { count: found.events }) : t("compare.nobody")}
      </Text>
      {!found.complete && (
        <Notice tone="warn">
          {found.kept_from ? t("past.keptFrom", { time: instant(found.kept_from) }) : t("past.nothingKept")}
        </Notice>
      )}
      <Part title={t("profile.attributes")} none={found.attributes.length === 0}>
        <Changes
          label={t("compare.attributes")}
          rows={found.attributes.map(({ name, before, after }) => ({
            name,
            before: before && <Value value={before.value} />,
            after: after && <Value value={after.value} />,
            cause: after ? t("compare.cause", { source: after.source, event: after.event }) : undefined,
          }))}
        />
      </Part>
      <Part title={t("profile.traits")} none={found.traits.length === 0}>
        <Changes
          label={t("compare.traits")}
          rows={found.traits.map(({ name, before, after }) => ({
            name,
            before: before !== null && <Value value={before} />,
            after: after !== null && <Value value={after} />,
          }))}
        />
      </Part>
      <Part title={t("profile.identifiers")} none={entries.length === 0}>
        <Group gap={6}>
          {entries.map(({ kind, value, sign }) => (
            <span key={`${kind}:${value}`}>
              {sign} <IdentifierChip kind={kind} value={value} />
            </span>
          ))}
        </Group>
      </Part>
      <Part title={t("audiences.title")} none={standings.length === 0}>
        <Group gap={12}>
          {standings.map(({ name, sign }) => (
            <span key={name}>
              {sign} {words(name)}
            </span>
          ))}
        </Group>
      </Part>
      {found.merged.length > 0 && (
        <Part title={t("compare.merged")} none={false}>
          <span className="mono">{found.merged.join(", ")}</span>
        </Part>
      )}
    </>
  );
}

function Part(props: { title: string; none: boolean; children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <section style={{ marginTop: 14 }}>
      <Text component="h3" size="sm" fw={600} mb={6}>
        {props.title}
      </Text>
      {props.none ? (
        <Text c="dimmed" size="sm">
          {t("compare.same")}
        </Text>
      ) : (
        props.children
      )}
    </section>
  );
}

type Change = { name: string; before: ReactNode; after: ReactNode; cause?: string };

function Changes({ label, rows }: { label: string; rows: Change[] }) {
  const { t } = useTranslation();
  return (
    <Table className="rows" aria-label={`${label} (${count(rows.length)})`}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th w="26%">{t("compare.name")}</Table.Th>
          <Table.Th>{t("compare.before")}</Table.Th>
          <Table.Th>{t("compare.after")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map(({ name, before, after, cause }) => (
          <Table.Tr key={name}>
            <Table.Th scope="row" title={name} style={{ whiteSpace: "normal" }}>
              {words(name)}
            </Table.Th>
            <Table.Td className="anywhere" c="dimmed">
              {before || t("compare.notTold")}
            </Table.Td>
            <Table.Td className="anywhere" fw={550}>
              {after || t("compare.notTold")}
              {cause && (
                <Text size="xs" c="dimmed" fw={400}>
                  {cause}
                </Text>
              )}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
