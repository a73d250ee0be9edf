// Conditions in words. Nothing that a condition says badly is an error here: it is shown as it is.
import type { TFunction } from "i18next";
import { Exact } from "../api/exact";
import { dateTime, plain, words } from "../format";

export type Token = { text: string; as?: "dim" | "name" | "value" };
type Tree = Record<string, unknown>;
type T = TFunction<"console">;

const SUBJECTS = ["trait", "attribute", "identifier", "consent", "property"] as const;
export const OPERATORS = [
  "eq",
  "ne",
  "gt",
  "gte",
  "lt",
  "lte",
  "in",
  "contains",
  "starts_with",
  "ends_with",
  "within_last",
  "longer_ago",
  "exists",
] as const;
const CALLS = ["page", "screen", "identify", "group", "alias"] as const;

export const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Exact);

/** What a condition joins; null if it joins nothing. */
export function joined(condition: unknown): { op: "and" | "or" | "not"; parts: unknown[] } | null {
  if (!isTree(condition)) return null;
  const { op, of } = condition;
  if ((op === "and" || op === "or") && Array.isArray(of)) return { op, parts: of };
  return op === "not" && isTree(of) ? { op, parts: [of] } : null;
}

/** The steps of a sequence; null if it is none. */
export const stepsOf = (condition: unknown): unknown[] | null =>
  isTree(condition) && condition.op === "sequence" && Array.isArray(condition.steps) ? condition.steps : null;

/** A condition that joins no others, word by word. */
export function tokens(condition: unknown, t: T): Token[] {
  if (!isTree(condition)) return [{ text: plain(condition), as: "value" }];
  switch (condition.op) {
    case "member":
      return member(condition, t);
    case "did":
      return did(condition, t);
    case "sequence":
      return sequence(condition, t);
    default:
      return test(condition, t);
  }
}

const unknown = (tree: Tree): Token[] => [{ text: plain(tree), as: "value" }];

function member(tree: Tree, t: T): Token[] {
  const subject = (["audience", "group"] as const).find((one) => typeof tree[one] === "string");
  if (subject === undefined) return unknown(tree);
  const name = String(tree[subject]);
  return [
    { text: t(`condition.in.${subject}`), as: "dim" },
    { text: subject === "audience" ? words(name) : name, as: "name" },
  ];
}

function test(tree: Tree, t: T): Token[] {
  const subject = SUBJECTS.find((one) => typeof tree[one] === "string");
  const op = OPERATORS.find((one) => one === tree.op);
  if (subject === undefined || op === undefined) return unknown(tree);
  const name: Token = { text: words(String(tree[subject])), as: "name" };
  if (subject === "consent" && typeof tree.value === "boolean") {
    const given = (op === "eq") === tree.value;
    return [
      { text: t("condition.consent"), as: "dim" },
      name,
      { text: t(given ? "condition.given" : op === "eq" ? "condition.refused" : "condition.notGiven") },
    ];
  }
  const value = Array.isArray(tree.value) ? tree.value.map(plain).join(", ") : told(tree.value);
  return [
    { text: t(`condition.${subject}`), as: "dim" },
    name,
    { text: t(`condition.op.${op}`) },
    ...(op === "exists" ? [] : [{ text: value, as: "value" } as const]),
  ];
}

/** A value; a time that was never written for people reads as one. */
const told = (value: unknown): string =>
  typeof value === "string" && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) ? dateTime(value) : plain(value);

function events(tree: Tree, t: T): Token[] {
  const call = CALLS.find((one) => one === tree.type);
  const name = typeof tree.event === "string" ? tree.event : undefined;
  return [
    ...(call === undefined ? [] : [{ text: t(`condition.call.${call}`), as: "dim" } as const]),
    ...(name === undefined ? [] : [{ text: name, as: "name" } as const]),
    ...(tree.where === undefined
      ? []
      : [{ text: t("condition.where"), as: "dim" } as const, { text: line(tree.where, t) }]),
  ];
}

const within = (tree: Tree, said: (span: string) => string): Token[] =>
  tree.within === undefined ? [] : [{ text: said(plain(tree.within)) }];

function did(tree: Tree, t: T): Token[] {
  return [
    { text: t("condition.did"), as: "dim" },
    ...events(tree, t),
    ...times(tree.times, t),
    ...within(tree, (span) => t("condition.within", { span })),
  ];
}

function times(said: unknown, t: T): Token[] {
  if (said === undefined) return [];
  if (!isTree(said)) return [{ text: t("condition.atLeast", { times: plain(said) }) }];
  const { at_least: least, at_most: most, exactly } = said;
  if (exactly !== undefined) return [{ text: t("condition.exactly", { times: plain(exactly) }) }];
  if (least !== undefined && most !== undefined) {
    return [{ text: t("condition.between", { least: plain(least), most: plain(most) }) }];
  }
  return least === undefined
    ? [{ text: t("condition.atMost", { times: plain(most) }) }]
    : [{ text: t("condition.atLeast", { times: plain(least) }) }];
}

function sequence(tree: Tree, t: T): Token[] {
  const steps = stepsOf(tree);
  if (steps === null) return unknown(tree);
  return [
    ...steps.flatMap((step, place) => [
      ...(place === 0 ? [] : [{ text: t("condition.then"), as: "dim" } as const]),
      ...stepTokens(step, t),
    ]),
    ...lasting(tree, t),
  ];
}

/** How long a sequence holds after its last step. */
export const lasting = (tree: unknown, t: T): Token[] =>
  isTree(tree) ? within(tree, (span) => t("condition.lasting", { span })) : [];

export function stepTokens(step: unknown, t: T): Token[] {
  if (!isTree(step)) return [{ text: plain(step), as: "value" }];
  const absent = step.not === true;
  return [
    { text: t(absent ? "condition.didNot" : "condition.did"), as: "dim" },
    ...events(step, t),
    ...(step.times === undefined ? [] : [{ text: t("condition.often", { times: plain(step.times) }) }]),
    ...within(step, (span) => t(absent ? "condition.forSpan" : "condition.soon", { span })),
  ];
}

/** A condition on one line. */
export function line(condition: unknown, t: T, nested = false): string {
  const joint = joined(condition);
  if (joint === null) {
    return tokens(condition, t)
      .filter(({ as, text }) => !(as === "dim" && isQuiet(text, t)))
      .map(({ text }) => text)
      .join(" ");
  }
  if (joint.op === "not") return `${t("condition.notShort")} (${line(joint.parts[0], t)})`;
  const said = joint.parts.map((part) => line(part, t, true));
  const whole = said.join(` ${t(joint.op === "or" ? "condition.or" : "condition.and")} `);
  return nested && said.length > 1 ? `(${whole})` : whole;
}

/** Words that say on one line what goes without saying. */
const isQuiet = (text: string, t: T) =>
  [t("condition.trait"), t("condition.attribute"), t("condition.property")].includes(text);
