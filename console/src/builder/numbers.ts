import type { Written } from "./drafts";

type Node = { count: number; of: Node[] };

/** How many each group and rule holds for, by its id; `node` is what the API counted for `written`. */
export function numbers(written: Written, node: Node): Map<string, number> {
  const found = new Map<string, number>();
  const visit = (one: Written, counted: Node) => {
    for (const id of one.ids) found.set(id, counted.count);
    const [only] = counted.of;
    // A group of one test says the same as the test alone, and is written so.
    if (one.parts.length !== counted.of.length && counted.of.length === 1 && only) {
      visit(one, only);
      return;
    }
    for (const [place, part] of one.parts.entries()) {
      const below = counted.of[place];
      if (below) visit(part, below);
    }
  };
  visit(written, node);
  return found;
}
