// What a trait is computed of, in words.
import type { TFunction } from "i18next";
import { plain, words } from "../format";
import { isTree, line, type Token } from "./conditionWords";

const KNOWN = ["aggregate", "event", "type", "property", "field", "where", "window"];

export function traitTokens(spec: Record<string, unknown>, t: TFunction<"console">): Token[] {
  if (spec.sql !== undefined) {
    return [
      { text: t("trait.says.query"), as: "name" },
      { text: t("trait.says.every", { span: plain(spec.every) }) },
      ...(spec.engine === undefined ? [] : [{ text: t("trait.says.engine", { engine: "DuckDB" }) }]),
    ];
  }
  const { aggregate, event, type, property, field, where, window } = spec;
  const more = Object.entries(spec).filter(([name]) => !KNOWN.includes(name));
  return [
    { text: words(plain(aggregate)), as: "name" },
    ...more.map(([name, value]) => ({ text: `${words(name)} ${plain(value)}` })),
    { text: t("trait.says.of"), as: "dim" },
    ...(property !== undefined || field !== undefined
      ? ([
          { text: property === undefined ? t("trait.says.time") : words(plain(property)), as: "name" },
          { text: t("trait.says.of"), as: "dim" },
        ] as const)
      : []),
    { text: event === undefined ? plain(type ?? t("trait.says.anyEvent")) : plain(event), as: "name" },
    { text: t("trait.says.events") },
    ...(where === undefined
      ? []
      : [{ text: t("condition.where"), as: "dim" } as const, { text: line(where, t) }]),
    ...(isTree(window) ? [{ text: spanOf(window, t) }] : []),
  ];
}

function spanOf(window: Record<string, unknown>, t: TFunction<"console">): string {
  if (window.last !== undefined) return t("trait.says.last", { span: plain(window.last) });
  return t("trait.says.calendar", { period: plain(window.calendar), zone: plain(window.time_zone ?? "UTC") });
}
