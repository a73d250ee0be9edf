// A condition while it is being made: what react-querybuilder keeps, with our own words for its values.
import type { RuleGroupType, RuleType } from "react-querybuilder";
import { Exact } from "../api/exact";
import { plain } from "../format";

/** What a rule looks at. `raw` is a node that this page does not know: it is kept as it is. */
export type Subject =
  | "trait"
  | "attribute"
  | "identifier"
  | "consent"
  | "group"
  | "audience"
  | "did"
  | "sequence"
  | "property"
  | "raw";

export type ValueKind = "number" | "text" | "yesno" | "json";
export type TestDraft = {
  name: string;
  kind: ValueKind;
  /** Whether a person chose the kind; else it follows what is written. */
  chosen: boolean;
  /** Of one value; a span of time for `within_last` and `longer_ago`. */
  text: string;
  /** Of `in`. */
  items: string[];
};
export type EventsDraft = { type: string; event: string; where: Query | null };
export type DidDraft = EventsDraft & {
  how: "at_least" | "at_most" | "exactly" | "between";
  least: string;
  most: string;
  within: string;
};
export type StepDraft = EventsDraft & { key: string; absent: boolean; times: string; within: string };
export type SequenceDraft = { steps: StepDraft[]; within: string };
export type RawDraft = { tree: unknown };

export type Draft = TestDraft | DidDraft | SequenceDraft | RawDraft;
export type Rule = RuleType<string, string, Draft>;
export type Query = RuleGroupType<Rule>;
export type Tree = Record<string, unknown>;

export const NAMED = ["track", "page", "screen"];
export const SPAN = /^([1-9][0-9]{0,7}) (second|minute|hour|day|week)s?$/;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?$/;

let made = 0;
export const newId = () => {
  made += 1;
  return `node-${made}`;
};

export const emptyTest = (): TestDraft => ({ name: "", kind: "text", chosen: false, text: "", items: [] });
export const emptyEvents = (): EventsDraft => ({ type: "track", event: "", where: null });
export const emptyDid = (): DidDraft => ({
  ...emptyEvents(),
  how: "at_least",
  least: "1",
  most: "1",
  within: "",
});
export const emptyStep = (): StepDraft => ({
  ...emptyEvents(),
  key: newId(),
  absent: false,
  times: "1",
  within: "",
});
export const emptyQuery = (): Query => ({ id: newId(), combinator: "and", rules: [] });
export const emptyRule = (subject: Subject): Rule => ({
  id: newId(),
  field: subject,
  operator:
    { audience: "member", group: "member", did: "did", sequence: "sequence" }[subject as string] ?? "eq",
  value: emptyDraft(subject),
});

function emptyDraft(subject: Subject): Draft {
  if (subject === "did") return emptyDid();
  if (subject === "sequence") return { steps: [emptyStep(), emptyStep()], within: "" };
  return subject === "consent" ? { ...emptyTest(), kind: "yesno", chosen: true, text: "true" } : emptyTest();
}

/** What a text most likely is. */
export const guess = (text: string): ValueKind =>
  NUMBER.test(text.trim()) ? "number" : text === "true" || text === "false" ? "yesno" : "text";

// From a tree, as a definition or the API says it. Nothing that it holds is an error here.

/** The draft of a condition. */
export function fromTree(tree: unknown): Query {
  const read = node(tree);
  return "rules" in read ? read : { ...emptyQuery(), rules: [read] };
}

function node(tree: unknown): Query | Rule {
  if (!isTree(tree)) return raw(tree);
  const { op, of } = tree;
  if ((op === "and" || op === "or") && Array.isArray(of)) {
    return { id: newId(), combinator: op, rules: of.map(node) };
  }
  if (op === "not" && isTree(of)) {
    const inner = node(of);
    return "rules" in inner && !inner.not
      ? { ...inner, not: true }
      : { ...emptyQuery(), not: true, rules: [inner] };
  }
  if (op === "member") return member(tree);
  if (op === "did") return rule("did", "did", did(tree));
  if (op === "sequence" && Array.isArray(tree.steps)) {
    return rule("sequence", "sequence", { steps: tree.steps.map(step), within: span(tree.within) });
  }
  return test(tree);
}

const isTree = (tree: unknown): tree is Tree =>
  typeof tree === "object" && tree !== null && !Array.isArray(tree) && !(tree instanceof Exact);
const rule = (field: Subject, operator: string, value: Draft): Rule => ({
  id: newId(),
  field,
  operator,
  value,
});
const raw = (tree: unknown): Rule => rule("raw", "raw", { tree });
const span = (said: unknown): string => (typeof said === "string" ? said : "");

function member(tree: Tree): Rule {
  for (const subject of ["audience", "group"] as const) {
    const name = tree[subject];
    if (typeof name === "string") return rule(subject, "member", { ...emptyTest(), name });
  }
  return raw(tree);
}

function test(tree: Tree): Rule {
  const subject = (["trait", "attribute", "identifier", "consent", "property"] as const).find(
    (one) => typeof tree[one] === "string",
  );
  if (subject === undefined || typeof tree.op !== "string") return raw(tree);
  const name = String(tree[subject]);
  const { value } = tree;
  if (tree.op === "in") {
    if (!Array.isArray(value)) return raw(tree);
    const kinds = new Set(value.map(kindOf));
    const kind = kinds.size > 1 ? undefined : ([...kinds][0] ?? "text");
    if (kind === undefined || kind === "json") return raw(tree);
    return rule(subject, "in", { name, kind, chosen: true, text: "", items: value.map(plain) });
  }
  const kind = kindOf(value);
  const text = value === undefined ? "" : plain(value);
  return rule(subject, tree.op, { name, kind, chosen: guess(text) !== kind, text, items: [] });
}

const kindOf = (value: unknown): ValueKind => {
  if (typeof value === "number" || value instanceof Exact) return "number";
  if (typeof value === "boolean") return "yesno";
  return typeof value === "string" || value === undefined ? "text" : "json";
};

const events = (tree: Tree): EventsDraft => ({
  type: typeof tree.type === "string" ? tree.type : "track",
  event: typeof tree.event === "string" ? tree.event : "",
  where: tree.where === undefined ? null : fromTree(tree.where),
});

function did(tree: Tree): DidDraft {
  const { times } = tree;
  const said = isTree(times) ? times : times === undefined ? { at_least: 1 } : { at_least: times };
  const how =
    said.exactly !== undefined
      ? "exactly"
      : said.at_most === undefined
        ? "at_least"
        : said.at_least === undefined
          ? "at_most"
          : "between";
  return {
    ...events(tree),
    how,
    least: plain(said.exactly ?? said.at_least ?? 1),
    most: plain(said.at_most ?? 1),
    within: span(tree.within),
  };
}

function step(tree: unknown): StepDraft {
  const said = isTree(tree) ? tree : {};
  return {
    ...events(said),
    key: newId(),
    absent: said.not === true,
    times: plain(said.times ?? 1),
    within: span(said.within),
  };
}

// To a tree. What is not whole yet is left out, so that the rest can be counted meanwhile.

/** A node as it is sent, with the groups and rules that it stands for. */
export type Written = { tree: Tree; ids: string[]; parts: Written[] };

/** The tree of a draft; null while there is nothing in it that is whole. */
export function toTree(query: Query, root = true): Written | null {
  const parts = query.rules
    .map((one) => ("rules" in one ? toTree(one as Query, false) : fromRule(one)))
    .filter((one) => one !== null);
  const [first] = parts;
  if (first === undefined) return null;
  const id = query.id ?? "";
  if (parts.length === 1 && query.not) {
    return { tree: { op: "not", of: first.tree }, ids: [id], parts: [first] };
  }
  if (parts.length === 1 && root) return { ...first, ids: [...first.ids, id] };
  const joined = { tree: { op: query.combinator, of: parts.map(({ tree }) => tree) }, ids: [id], parts };
  return query.not
    ? { tree: { op: "not", of: joined.tree }, ids: [id], parts: [{ ...joined, ids: [] }] }
    : joined;
}

function fromRule(one: Rule): Written | null {
  const tree = leaf(one);
  return tree === null ? null : { tree, ids: [one.id ?? ""], parts: [] };
}

/** How many tests are left out since something is missing in them. */
export const missing = (query: Query): number =>
  query.rules.reduce((sum, one) => sum + ("rules" in one ? missing(one as Query) : missingIn(one)), 0);

function missingIn(one: Rule): number {
  if (!isWhole(one)) return 1;
  const { where, steps = [] } = one.value as Partial<DidDraft & SequenceDraft>;
  return [where, ...steps.map((step) => step.where)].reduce(
    (sum, condition) => sum + (condition ? missing(condition) : 0),
    0,
  );
}

/** Whether nothing is missing in a rule. */
export const isWhole = (one: Rule): boolean => leaf(one) !== null;

function leaf({ field, operator, value }: Rule): Tree | null {
  switch (field as Subject) {
    case "raw":
      return (value as RawDraft).tree as Tree;
    case "did":
      return didTree(value as DidDraft);
    case "sequence":
      return sequenceTree(value as SequenceDraft);
    case "audience":
    case "group": {
      const { name } = value as TestDraft;
      return name === "" ? null : { op: "member", [field]: name };
    }
    default:
      return testTree(field, operator, value as TestDraft);
  }
}

function testTree(subject: string, op: string, draft: TestDraft): Tree | null {
  if (draft.name === "") return null;
  if (op === "exists") return { op, [subject]: draft.name };
  if (op === "in") {
    const items = draft.items.map((text) => toValue(draft.kind, text));
    return items.includes(undefined) ? null : { op, [subject]: draft.name, value: items };
  }
  if (op === "within_last" || op === "longer_ago") {
    return SPAN.test(draft.text) ? { op, [subject]: draft.name, value: draft.text } : null;
  }
  const value = toValue(subject === "identifier" ? "text" : draft.kind, draft.text);
  return value === undefined ? null : { op, [subject]: draft.name, value };
}

/** What a text says as a value of a kind; undefined if it says none. */
export function toValue(kind: ValueKind, text: string): unknown {
  switch (kind) {
    case "number": {
      const said = text.trim();
      if (!NUMBER.test(said)) return undefined;
      return String(Number(said)) === said ? Number(said) : new Exact(said);
    }
    case "yesno":
      return text === "true" ? true : text === "false" ? false : undefined;
    case "json":
      try {
        return JSON.parse(text);
      } catch {
        return undefined;
      }
    default:
      return text === "" ? undefined : text;
  }
}

const times = (text: string, least: number): number | null => {
  const said = /^\d{1,4}$/.test(text.trim()) ? Number(text) : Number.NaN;
  return said >= least && said <= 1000 ? said : null;
};

function eventsTree({ type, event, where }: EventsDraft): Tree | null {
  const named = NAMED.includes(type);
  if (type === "track" && event === "") return null;
  const condition = where === null ? null : toTree(where);
  return {
    ...(type === "track" ? {} : { type }),
    ...(named && event !== "" ? { event } : {}),
    ...(condition === null ? {} : { where: condition.tree }),
  };
}

function didTree(draft: DidDraft): Tree | null {
  const said = eventsTree(draft);
  const least = times(draft.least, draft.how === "exactly" ? 0 : 1);
  const most = times(draft.most, 0);
  if (said === null || (draft.within !== "" && !SPAN.test(draft.within))) return null;
  if (draft.how !== "at_most" && least === null) return null;
  if ((draft.how === "at_most" || draft.how === "between") && most === null) return null;
  if (draft.how === "between" && (least ?? 0) > (most ?? 0)) return null;
  const often = {
    at_least: least === 1 ? {} : { times: { at_least: least } },
    at_most: { times: { at_most: most } },
    exactly: { times: { exactly: least } },
    between: { times: { at_least: least, at_most: most } },
  }[draft.how];
  return { op: "did", ...said, ...often, ...(draft.within === "" ? {} : { within: draft.within }) };
}

function sequenceTree({ steps, within }: SequenceDraft): Tree | null {
  const written = steps.map(stepTree);
  if (written.includes(null) || steps.length < 2 || (within !== "" && !SPAN.test(within))) return null;
  return { op: "sequence", steps: written, ...(within === "" ? {} : { within }) };
}

function stepTree(draft: StepDraft, place: number): Tree | null {
  const said = eventsTree(draft);
  const absent = draft.absent && place > 0;
  const count = times(draft.times, 1);
  if (said === null || (draft.within !== "" && !SPAN.test(draft.within))) return null;
  if (absent ? draft.within === "" : count === null) return null;
  return {
    ...said,
    ...(!absent && count !== 1 ? { times: count } : {}),
    ...(draft.within === "" ? {} : { within: draft.within }),
    ...(absent ? { not: true } : {}),
  };
}
