import { Fragment, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { isTree, joined, lasting, line, stepsOf, stepTokens, type Token, tokens } from "./conditionWords";

/** A condition as one reads it aloud. */
export function ConditionTree({ condition }: { condition: unknown }) {
  return (
    <div className="condition">
      <Part condition={condition} />
    </div>
  );
}

function Part({ condition }: { condition: unknown }) {
  const joint = joined(condition);
  if (joint === null) return <Leaf condition={condition} />;
  return (
    <>
      <Joint op={joint.op} />
      <ul>
        {joint.parts.map((part, place) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a condition have no other place
          <li key={place}>
            <Part condition={part} />
          </li>
        ))}
      </ul>
    </>
  );
}

export function Joint({ op }: { op: "and" | "or" | "not" }) {
  const { t } = useTranslation();
  return (
    <span className="joint">
      {t(op === "or" ? "condition.any" : op === "and" ? "condition.all" : "condition.not")}
    </span>
  );
}

/** A condition that joins no others; a sequence step by step, the condition of events below them. */
export function Leaf({ condition }: { condition: unknown }) {
  const { t } = useTranslation();
  const steps = stepsOf(condition);
  if (steps === null) {
    const where = isTree(condition) && condition.op === "did" ? condition.where : undefined;
    if (joined(where) === null) return <Words of={tokens(condition, t)} />;
    return (
      <>
        <Words of={tokens({ ...(condition as object), where: undefined }, t)} />{" "}
        <span className="dim">{t("condition.where")}</span>
        <ul>
          <li>
            <Part condition={where} />
          </li>
        </ul>
      </>
    );
  }
  return (
    <>
      <span className="joint">{t("condition.sequence")}</span> <Words of={lasting(condition, t)} />
      <ol>
        {steps.map((step, place) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a condition have no other place
          <li key={place}>
            <Words of={stepTokens(step, t)} />
          </li>
        ))}
      </ol>
    </>
  );
}

export function Words({ of }: { of: Token[] }): ReactNode {
  return (
    <span>
      {of.map(({ text, as }, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: words have no other place
        <Fragment key={place}>
          {place > 0 && " "}
          {as === "value" ? (
            <code>{text}</code>
          ) : as === "name" ? (
            <b>{text}</b>
          ) : as === "dim" ? (
            <span className="dim">{text}</span>
          ) : (
            text
          )}
        </Fragment>
      ))}
    </span>
  );
}

/** The same on one line, for lists. */
export function useConditionText(): (condition: unknown) => string {
  const { t } = useTranslation();
  return (condition) => line(condition, t);
}
