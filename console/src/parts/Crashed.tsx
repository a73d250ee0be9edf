import type { ErrorComponentProps } from "@tanstack/react-router";
import { Failure } from "./States";

/** What stands in a page's place when its own code failed. */
export function Crashed({ error, reset }: ErrorComponentProps) {
  console.error(error);
  return <Failure error={error} retry={reset} />;
}
