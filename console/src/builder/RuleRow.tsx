import { ActionIcon, Code, Text } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import type { RuleProps } from "react-querybuilder";
import { plain } from "../format";
import { OPERATORS } from "../parts/conditionWords";
import { CountOf, useOf } from "./context";
import {
  type DidDraft,
  type Draft,
  emptyRule,
  isWhole,
  type RawDraft,
  type Rule,
  type SequenceDraft,
  type Subject,
  type TestDraft,
} from "./drafts";
import { DidEditor, SequenceEditor } from "./EventEditors";
import { Choice, Compared, Name, Span } from "./Fields";
import { useNames } from "./names";

export const PERSON: readonly Subject[] = [
  "trait",
  "attribute",
  "identifier",
  "consent",
  "group",
  "audience",
  "did",
  "sequence",
];

/** One test of a condition: what is looked at, and what must be so. */
export function RuleRow({ rule, path, actions, schema }: RuleProps) {
  const { t } = useTranslation();
  const of = useOf();
  const subject = rule.field as Subject;
  const { dispatchQuery, getQuery } = schema;
  const change = (changed: Partial<Rule>) => {
    const query = getQuery();
    if (query !== undefined) dispatchQuery(replaced(query as never, path, changed) as never);
  };
  const whole = isWhole(rule as Rule);
  return (
    <div className="builderRule" data-whole={whole || undefined} data-kind={subject}>
      <div className="builderLine">
        {of === "person" && subject !== "raw" && (
          <Choice
            label={t("builder.subject.label")}
            value={subject}
            options={PERSON.map((value) => ({ value, label: t(`builder.subject.${value as "trait"}`) }))}
            onChange={(field) => {
              const { id: _, ...blank } = emptyRule(field);
              change(blank);
            }}
          />
        )}
        <Body rule={rule as Rule} onChange={change} />
        <span className="builderEnd">
          {whole ? (
            <CountOf id={rule.id} />
          ) : (
            <Text size="xs" c="dimmed" className="nowrap">
              {t("builder.incomplete")}
            </Text>
          )}
          <ActionIcon
            variant="subtle"
            color="gray"
            size="sm"
            aria-label={t("builder.removeRule")}
            onClick={() => actions.onRuleRemove(path)}
          >
            <IconX size={15} />
          </ActionIcon>
        </span>
      </div>
    </div>
  );
}

type Grown = { rules: (Grown | Rule)[] };

/** The query with one rule changed. */
function replaced(query: Grown, path: readonly number[], changed: Partial<Rule>): Grown {
  const [place, ...rest] = path;
  return {
    ...query,
    rules: query.rules.map((one, at) => {
      if (at !== place) return one;
      return "rules" in one ? replaced(one, rest, changed) : { ...one, ...changed };
    }),
  };
}

type Editor = { rule: Rule; onChange: (changed: Partial<Rule>) => void };

function Body({ rule, onChange }: Editor) {
  const { t } = useTranslation();
  const names = useNames();
  const write = (value: Draft) => onChange({ value });
  switch (rule.field as Subject) {
    case "raw":
      return <Code className="grow anywhere">{plain((rule.value as RawDraft).tree)}</Code>;
    case "did":
      return <DidEditor draft={rule.value as DidDraft} onChange={write} />;
    case "sequence":
      return <SequenceEditor draft={rule.value as SequenceDraft} onChange={write} />;
    case "audience":
    case "group": {
      const draft = rule.value as TestDraft;
      return (
        <Name
          label={t(`builder.name.${rule.field as "audience"}`)}
          names={names[rule.field as Subject]}
          value={draft.name}
          onChange={(name) => write({ ...draft, name })}
        />
      );
    }
    default:
      return <TestEditor rule={rule} onChange={onChange} />;
  }
}

const TEMPORAL: readonly string[] = ["within_last", "longer_ago"];

function TestEditor({ rule, onChange }: Editor) {
  const { t } = useTranslation();
  const names = useNames();
  const draft = rule.value as TestDraft;
  const subject = rule.field as "trait" | "attribute" | "identifier" | "consent" | "property";
  const timed = subject === "trait" || subject === "attribute";
  const known =
    subject === "consent"
      ? (["eq", "ne"] as const)
      : OPERATORS.filter((op) => timed || !TEMPORAL.includes(op));
  const options = known.map((value) => ({ value: value as string, label: t(`condition.op.${value}`) }));
  if (!options.some(({ value }) => value === rule.operator)) {
    options.push({ value: rule.operator, label: rule.operator });
  }
  const write = (value: TestDraft) => onChange({ value });
  return (
    <>
      <Name
        label={t(`builder.name.${subject}`)}
        names={names[subject]}
        value={draft.name}
        onChange={(name) => write({ ...draft, name })}
      />
      <Choice
        label={t("builder.operator")}
        value={rule.operator}
        options={options}
        onChange={(operator) => onChange({ operator, value: fitting(draft, rule.operator, operator) })}
      />
      {TEMPORAL.includes(rule.operator) ? (
        <Span label={t("builder.age")} value={draft.text} onChange={(text) => write({ ...draft, text })} />
      ) : subject === "consent" ? (
        <Choice
          label={t("builder.value")}
          value={draft.text === "false" ? "false" : "true"}
          options={[
            { value: "true", label: t("builder.given") },
            { value: "false", label: t("builder.refused") },
          ]}
          onChange={(text) => write({ ...draft, text })}
        />
      ) : (
        rule.operator !== "exists" && (
          <Compared
            draft={draft}
            many={rule.operator === "in"}
            textOnly={subject === "identifier" || ["starts_with", "ends_with"].includes(rule.operator)}
            onChange={write}
          />
        )
      )}
    </>
  );
}

/** What is compared with, carried over to another operator. */
function fitting(draft: TestDraft, from: string, to: string): TestDraft {
  if (TEMPORAL.includes(to) && !TEMPORAL.includes(from)) return { ...draft, text: "30 days", kind: "text" };
  if (TEMPORAL.includes(from) && !TEMPORAL.includes(to)) return { ...draft, text: "", kind: "text" };
  if (to === "in" && from !== "in") return { ...draft, items: draft.text === "" ? [] : [draft.text] };
  if (from === "in" && to !== "in") return { ...draft, text: draft.items[0] ?? "" };
  return ["starts_with", "ends_with"].includes(to) ? { ...draft, kind: "text", chosen: true } : draft;
}
