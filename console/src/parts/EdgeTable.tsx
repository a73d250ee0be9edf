import { Text, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Edge } from "../api/types";
import { dateTime, words } from "../format";
import { Copy } from "./Bits";
import { Rows } from "./Rows";
import { UndoEdge } from "./UndoEdge";

/** The identity graph in words: what the drawing says, for whoever cannot see it. */
export function EdgeTable({ edges, undo = false }: { edges: readonly Edge[]; undo?: boolean }) {
  const { t } = useTranslation();
  const about = edges.length === 0 ? t("graph.alone") : "";
  return (
    <Pairs edges={edges} title={t("graph.evidence")} about={about} rule={t("graph.rule")} undo={() => undo} />
  );
}

/** Why an edge ties nothing more that has tied what it tied: its identifier was set aside, or taken. */
const ONCE_TIED = new Set(["shared", "taken"]);

/** Pairs that tie nothing, and the rule that was against each; nothing, if there are none. */
export function RefusedTable({ edges, undo = false }: { edges: readonly Edge[]; undo?: boolean }) {
  const { t } = useTranslation();
  if (edges.length === 0) return null;
  return (
    <Pairs
      edges={edges}
      title={t("graph.refused")}
      about={t("graph.refusedAbout")}
      rule={t("graph.limit")}
      undo={({ rule }) => undo && ONCE_TIED.has(rule)}
    />
  );
}

function Pairs(props: {
  edges: readonly Edge[];
  title: string;
  about: string;
  rule: string;
  undo: (edge: Edge) => boolean;
}) {
  const { edges, title, about, rule, undo } = props;
  const { t } = useTranslation();
  return (
    <div style={{ borderTop: "1px solid var(--line)" }}>
      <Title order={2} size="h3" px="md" pt={14} pb={4}>
        {title}
      </Title>
      {about && (
        <Text c="dimmed" size="sm" px="md" pb="md">
          {about}
        </Text>
      )}
      {edges.length > 0 && (
        <Rows
          label={title}
          rows={edges}
          rowKey={(edge) => `${edge.a} ${edge.b} ${edge.event}`}
          columns={[
            {
              name: t("graph.pair"),
              cell: (edge) => (
                <>
                  <div className="mono">{edge.a}</div>
                  <div className="mono">{edge.b}</div>
                </>
              ),
            },
            { name: rule, cell: (edge) => words(edge.rule) },
            {
              name: t("graph.at"),
              wide: true,
              number: true,
              cell: (edge) => <time dateTime={edge.at}>{dateTime(edge.at)}</time>,
            },
            {
              name: t("graph.event"),
              wide: true,
              cell: (edge) => (
                <span style={{ display: "inline-flex", gap: 4, maxWidth: 110, alignItems: "center" }}>
                  <span className="mono truncate" title={edge.event}>
                    {edge.event}
                  </span>
                  <Copy text={edge.event} label={t("graph.copyEvent")} />
                </span>
              ),
            },
            ...(edges.some(undo)
              ? [
                  {
                    name: t("undo.column"),
                    width: 60,
                    cell: (edge: Edge) => undo(edge) && <UndoEdge edge={edge} />,
                  },
                ]
              : []),
          ]}
        />
      )}
    </div>
  );
}
