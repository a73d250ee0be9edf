/** A number as the API wrote it, where JavaScript's own would show another (12.50, or more than 15 digits). */
export class Exact {
  constructor(readonly source: string) {}
  toString(): string {
    return this.source;
  }
}

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown;

const keep: Reviver = (_key, value, context) =>
  typeof value === "number" && context?.source !== undefined && context.source !== String(value)
    ? new Exact(context.source)
    : value;

/** JSON with its numbers exact, in browsers whose JSON.parse tells a number's source; the others round. */
export function parseJson<T = unknown>(text: string): T {
  return (JSON.parse as (text: string, reviver: Reviver) => T)(text, keep);
}

/** The JSON of what `parseJson` read, numbers as they were. */
export function writeJson(value: unknown, indent = ""): string {
  if (value instanceof Exact) return value.source;
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((item) => deeper + writeJson(item, deeper)).join(",\n")}\n${indent}]`;
  }
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    if (entries.length === 0) return "{}";
    const lines = entries.map(([key, item]) => `${deeper}${JSON.stringify(key)}: ${writeJson(item, deeper)}`);
    return `{\n${lines.join(",\n")}\n${indent}}`;
  }
  return JSON.stringify(value) ?? "null";
}
