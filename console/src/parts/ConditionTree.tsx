import { useTranslation } from "react-i18next";
import type { Condition } from "../api/types";
import { plain, words } from "../format";

type Test = { op: string; trait?: string; attribute?: string; value?: unknown };
const COMPARED = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "exists"] as const;

/** An audience's condition as one reads it aloud. */
export function ConditionTree({ condition }: { condition: Condition }) {
  return (
    <div className="condition">
      <Part condition={condition} />
    </div>
  );
}

function Part({ condition }: { condition: Condition }) {
  const { t } = useTranslation();
  if ("of" in condition && Array.isArray(condition.of)) {
    const joint = condition.op === "or" ? "condition.any" : "condition.all";
    return (
      <>
        <span className="joint">{t(joint)}</span>
        <ul>
          {condition.of.map((part) => (
            <li key={JSON.stringify(part)}>
              <Part condition={part} />
            </li>
          ))}
        </ul>
      </>
    );
  }
  if ("of" in condition) {
    return (
      <>
        <span className="joint">{t("condition.not")}</span>
        <ul>
          <li>
            <Part condition={condition.of as Condition} />
          </li>
        </ul>
      </>
    );
  }
  const test = condition as Test;
  const op = COMPARED.find((one) => one === test.op);
  const subject = test.trait ?? test.attribute ?? "";
  const value = Array.isArray(test.value) ? test.value.map(plain).join(", ") : plain(test.value);
  return (
    <span>
      <span style={{ color: "var(--mantine-color-dimmed)" }}>
        {t(test.trait === undefined ? "condition.attribute" : "condition.trait")}
      </span>{" "}
      <b style={{ fontWeight: 600 }}>{words(subject)}</b> {op ? t(`condition.op.${op}`) : test.op}
      {test.op !== "exists" && (
        <>
          {" "}
          <code>{value}</code>
        </>
      )}
    </span>
  );
}

/** The same on one line, for lists. */
export function useConditionText(): (condition: Condition) => string {
  const { t } = useTranslation();
  const say = (condition: Condition, nested = false): string => {
    if ("of" in condition && Array.isArray(condition.of)) {
      const joined = condition.of
        .map((part) => say(part, true))
        .join(` ${t(condition.op === "or" ? "condition.or" : "condition.and")} `);
      return nested && condition.of.length > 1 ? `(${joined})` : joined;
    }
    if ("of" in condition) return `${t("condition.notShort")} (${say(condition.of as Condition)})`;
    const test = condition as Test;
    const op = COMPARED.find((one) => one === test.op);
    const value = Array.isArray(test.value) ? test.value.map(plain).join(", ") : plain(test.value);
    return [
      words(test.trait ?? test.attribute ?? ""),
      op ? t(`condition.op.${op}`) : test.op,
      test.op === "exists" ? "" : value,
    ]
      .filter(Boolean)
      .join(" ");
  };
  return say;
}
