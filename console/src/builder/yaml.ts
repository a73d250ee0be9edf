// Definitions as YAML. It is written from values, so nothing that a person types is read as something else.
import { Exact } from "../api/exact";
import { SPAN } from "./drafts";

const BARE = /^[A-Za-z_][A-Za-z0-9_./ -]*[A-Za-z0-9_]$|^[A-Za-z_]$/;
/** Words that YAML reads as something else. */
const SPECIAL = /^(true|false|yes|no|on|off|null|y|n|nan|inf)$/i;

/** The YAML of a value of JSON: what is short on one line, the rest indented. */
export function writeYaml(value: unknown, indent = "", top = false): string {
  if (Array.isArray(value) && !isShort(value)) {
    return value.map((item) => `${indent}- ${writeYaml(item, `${indent}  `).trimStart()}`).join("\n");
  }
  if (isMapping(value) && (top || !isShort(value))) {
    return entries(value)
      .map(([key, item]) => {
        const written = isShort(item) ? ` ${short(item)}` : `\n${writeYaml(item, `${indent}  `)}`;
        return `${indent}${text(key)}:${written}`;
      })
      .join("\n");
  }
  return `${indent}${short(value)}`;
}

/** The file that defines something. */
export function definitionFile(kind: string, name: string, description: string, spec: unknown): string {
  const about = description.trim() === "" ? "" : `\n  description: ${short(description.trim())}`;
  return `version: obverse/v1\nkind: ${kind}\nmetadata:\n  name: ${short(name)}${about}\nspec:\n${writeYaml(spec, "  ", true)}\n`;
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Exact);
const entries = (value: Record<string, unknown>) =>
  Object.entries(value).filter(([, item]) => item !== undefined);

/** Whether it is told on one line: it fits, and is no list of mappings. */
const isShort = (value: unknown): boolean => !holdsList(value) && short(value).length <= 90;

function holdsList(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((item) => isMapping(item) || holdsList(item));
  return isMapping(value) && Object.values(value).some(holdsList);
}

function short(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(short).join(", ")}]`;
  if (isMapping(value)) {
    return `{${entries(value)
      .map(([key, item]) => `${text(key)}: ${short(item)}`)
      .join(", ")}}`;
  }
  if (typeof value === "string") return text(value);
  return value instanceof Exact ? value.source : JSON.stringify(value);
}

const text = (value: string): string =>
  (BARE.test(value) && !SPECIAL.test(value)) || SPAN.test(value)
    ? value
    : JSON.stringify(value).replace(
        /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
        (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
      );
