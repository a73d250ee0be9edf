import createClient, { type Middleware } from "openapi-fetch";
import { parseJson } from "./exact";
import type { paths } from "./paths";
import type { Problem } from "./types";

/** What a request failed with, in the API's own words where it had any. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
  ) {
    super(problem.detail ?? problem.title ?? String(status));
  }
}

const exactNumbers: Middleware = {
  async onResponse({ response }) {
    if (!response.ok || response.status === 204) return undefined;
    const text = await response.text();
    const headers = new Headers(response.headers);
    // openapi-fetch asks json() only of an answer that tells its length.
    headers.set("Content-Length", String(text.length));
    const exact = new Response(text, { status: response.status, headers });
    exact.json = async () => parseJson(text);
    return exact;
  },
};

export const api = createClient<paths>({ baseUrl: window.location.origin, credentials: "same-origin" });
api.use(exactNumbers);

type Answered<T> = { data?: T; error?: unknown; response: Response };

/** The answer's data, or an ApiError. A request that reached nobody has status 0. */
export async function answer<T>(asked: Promise<Answered<T>>): Promise<T> {
  let answered: Answered<T>;
  try {
    answered = await asked;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, {});
  }
  if (!answered.response.ok) {
    const problem = typeof answered.error === "object" && answered.error !== null ? answered.error : {};
    throw new ApiError(answered.response.status, problem as Partial<Problem>);
  }
  return answered.data as T;
}
