import "@xyflow/react/dist/style.css";
import dagre from "@dagrejs/dagre";
import { Tooltip, useComputedColorScheme } from "@mantine/core";
import {
  Background,
  BaseEdge,
  Controls,
  EdgeLabelRenderer,
  type EdgeProps,
  type Edge as FlowEdge,
  type Node as FlowNode,
  getBezierPath,
  Handle,
  type NodeProps,
  Position,
  ReactFlow,
} from "@xyflow/react";
import { type CSSProperties, useMemo } from "react";
import { useTranslation } from "react-i18next";
import type { Edge, Identifier } from "../api/types";
import { dateTime, words } from "../format";

const WIDTH = 218;
const HEIGHT = 54;

const TONES: Record<string, string> = {
  user_id: "light-dark(#147d72, #4fbfb2)",
  email: "light-dark(#2f5597, #86a9e8)",
  anonymous_id: "light-dark(#8b9392, #7f8a8c)",
};

type IdentifierNode = FlowNode<{ kind: string; value: string; direction: Direction }, "identifier">;
type Evidence = { rule: string; event: string; at: string };
type EvidenceEdge = FlowEdge<{ evidence: Evidence[] }, "evidence">;

const nodeTypes = { identifier: IdentifierBox };
const edgeTypes = { evidence: EvidenceLine };

/** Identifiers, and the evidence that ties them. */
export default function IdentityGraph(props: { identifiers: readonly Identifier[]; edges: readonly Edge[] }) {
  const { t } = useTranslation();
  const scheme = useComputedColorScheme("light");
  const drawn = useMemo(() => draw(props.identifiers, props.edges), [props.identifiers, props.edges]);
  return (
    <section className="graph" aria-label={t("graph.title")}>
      <ReactFlow
        nodes={drawn.nodes}
        edges={drawn.edges}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        colorMode={scheme}
        fitView
        fitViewOptions={{ padding: 0.08, maxZoom: 1 }}
        minZoom={0.25}
        maxZoom={2}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        preventScrolling={false}
        zoomOnScroll={false}
        proOptions={{ hideAttribution: true }}
        style={{ background: "transparent" }}
      >
        <Background gap={18} size={1.2} color={scheme === "dark" ? "#283033" : "#dfe4e2"} />
        <Controls showInteractive={false} aria-label={t("graph.controls")} />
      </ReactFlow>
    </section>
  );
}

function IdentifierBox({ data }: NodeProps<IdentifierNode>) {
  return (
    <div
      className="graphNode"
      style={{ "--tone": TONES[data.kind] ?? "var(--warn)", minHeight: HEIGHT } as CSSProperties}
      title={`${data.kind}:${data.value}`}
    >
      <Handle
        type="target"
        position={data.direction === "LR" ? Position.Left : Position.Top}
        isConnectable={false}
      />
      <small>{data.kind}</small>
      <span className="truncate">{data.value}</span>
      <Handle
        type="source"
        position={data.direction === "LR" ? Position.Right : Position.Bottom}
        isConnectable={false}
      />
    </div>
  );
}

function EvidenceLine(props: EdgeProps<EvidenceEdge>) {
  const { t } = useTranslation();
  const [path, x, y] = getBezierPath(props);
  const evidence = props.data?.evidence ?? [];
  return (
    <>
      <BaseEdge path={path} style={{ stroke: "light-dark(#b9c1bf, #4a5558)", strokeWidth: 1.5 }} />
      <EdgeLabelRenderer>
        <Tooltip
          multiline
          maw={340}
          events={{ hover: true, focus: true, touch: true }}
          label={evidence.map((one) => (
            <div key={one.event} style={{ overflowWrap: "anywhere" }}>
              <b>{words(one.rule)}</b> · {dateTime(one.at)}
              <br />
              {t("graph.byEvent", { event: one.event })}
            </div>
          ))}
        >
          <button
            type="button"
            className="edgeLabel nodrag nopan"
            style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}
          >
            {evidence.length === 1
              ? words(evidence[0]?.rule ?? "")
              : t("graph.several", { count: evidence.length })}
          </button>
        </Tooltip>
      </EdgeLabelRenderer>
    </>
  );
}

type Direction = "LR" | "TB";

/** Drawn in the direction in which the boxes come out larger. */
function draw(identifiers: readonly Identifier[], edges: readonly Edge[]) {
  const [width, height] = window.innerWidth < 768 ? [330, 360] : [600, 430];
  const drawings = (["TB", "LR"] as const).map((direction) => {
    const graph = layOut(identifiers, edges, direction);
    const size = graph.graph() as { width: number; height: number };
    return { direction, graph, zoom: Math.min(width / size.width, height / size.height) };
  });
  const [tall, wide] = drawings as [(typeof drawings)[number], (typeof drawings)[number]];
  const { graph, direction } = tall.zoom >= wide.zoom ? tall : wide;
  // Two identifiers may be tied by several events: one line, all of its evidence.
  const pairs = new Map<string, EvidenceEdge>();
  for (const { a, b, rule, event, at } of edges) {
    const id = [a, b].sort().join(" ");
    const drawn = pairs.get(id);
    if (drawn) drawn.data?.evidence.push({ rule, event, at });
    else
      pairs.set(id, {
        id,
        source: a,
        target: b,
        type: "evidence",
        data: { evidence: [{ rule, event, at }] },
      });
  }
  const nodes = graph.nodes().map((id): IdentifierNode => {
    const { x, y } = graph.node(id) as { x: number; y: number };
    const colon = id.indexOf(":");
    return {
      id,
      data: { kind: id.slice(0, colon), value: id.slice(colon + 1), direction },
      type: "identifier",
      position: { x: x - WIDTH / 2, y: y - HEIGHT / 2 },
      width: WIDTH,
      height: HEIGHT,
    };
  });
  return { nodes, edges: [...pairs.values()] };
}

function layOut(identifiers: readonly Identifier[], edges: readonly Edge[], direction: Direction) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: direction, nodesep: 24, ranksep: direction === "LR" ? 110 : 72 });
  graph.setDefaultEdgeLabel(() => ({}));
  const ends = edges.flatMap(({ a, b }) => [a, b]);
  for (const id of new Set([...identifiers.map(({ kind, value }) => `${kind}:${value}`), ...ends])) {
    graph.setNode(id, { width: WIDTH, height: HEIGHT });
  }
  for (const { a, b } of edges) if (!graph.hasEdge(b, a)) graph.setEdge(a, b);
  dagre.layout(graph);
  return graph;
}
