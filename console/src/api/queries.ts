// What pages ask, with its place in the cache and how soon it is asked again.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { ApiError, answer, api } from "./client";
import type { LiveFilter } from "./live";
import type { Component, Message, Proposal, RejectedEvent } from "./types";

const SOON = 5_000;

type Page<Cursor> = { next: Cursor | null };
type Ask<T> = (after: string | undefined, signal: AbortSignal) => Promise<T>;

/** A list of pages. It is asked anew while only its first page is shown: more would move under the reader. */
function pages<T extends Page<string>>(key: readonly unknown[], ask: Ask<T>) {
  return infiniteQueryOptions({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => ask(pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
    refetchInterval: (query) => ((query.state.data?.pages.length ?? 0) > 1 ? false : SOON),
  });
}

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => answer(api.GET("/v1/session", { signal })),
  staleTime: 5 * 60_000,
});

export const overviewQuery = queryOptions({
  queryKey: ["overview"],
  queryFn: async ({ signal }) => ({
    ...(await answer(api.GET("/v1/overview", { signal }))),
    asked: performance.now() / 1000,
  }),
  refetchInterval: 1_000,
});

export const readyQuery = queryOptions({
  queryKey: ["ready"],
  queryFn: async ({ signal }): Promise<{ status: string; components: Component[] }> => {
    try {
      return await answer(api.GET("/ready", { signal }));
    } catch (error) {
      // What is not ready says of each component what is wrong with it.
      if (error instanceof ApiError && error.problem.components?.length) {
        return { status: "unavailable", components: error.problem.components };
      }
      throw error;
    }
  },
  refetchInterval: SOON,
});

export const recentEventsQuery = ({ source, type, q }: LiveFilter) =>
  queryOptions({
    queryKey: ["events", "recent", source, type, q],
    queryFn: ({ signal }) =>
      answer(api.GET("/v1/events", { signal, params: { query: { source, type, q, limit: 100 } } })),
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY, // the stream brings what comes after
  });

export type RejectedFilter = { source?: string; code?: string; state?: RejectedEvent["state"] };

export const rejectedQuery = (filter: RejectedFilter) =>
  pages(["rejected", "list", filter.source, filter.code, filter.state], (after, signal) =>
    answer(api.GET("/v1/rejected-events", { signal, params: { query: { ...filter, limit: 50, after } } })),
  );

export const rejectedCountsQuery = queryOptions({
  queryKey: ["rejected", "counts"],
  queryFn: ({ signal }) => answer(api.GET("/v1/rejected-events/counts", { signal })),
  refetchInterval: SOON,
});

const SECOND = 1_000;

export const loadsQuery = queryOptions({
  queryKey: ["loads"],
  queryFn: ({ signal }) => answer(api.GET("/v1/loads", { signal })),
  refetchInterval: (query) =>
    query.state.data?.loads.some(({ state }) => state === "running") ? SECOND : SOON,
});

export const loadQuery = (load: string) =>
  queryOptions({
    queryKey: ["loads", load],
    queryFn: ({ signal }) => answer(api.GET("/v1/loads/{load}", { signal, params: { path: { load } } })),
    refetchInterval: (query) => (query.state.data?.state === "running" ? SECOND : SOON),
  });

export const sourcesQuery = queryOptions({
  queryKey: ["sources"],
  queryFn: ({ signal }) => answer(api.GET("/v1/sources", { signal })),
  refetchInterval: SOON,
});

export const definitionsQuery = queryOptions({
  queryKey: ["definitions", "list"],
  queryFn: ({ signal }) => answer(api.GET("/v1/definitions", { signal })),
  refetchInterval: SOON,
});

export const definitionsFolderQuery = queryOptions({
  queryKey: ["definitions", "folder"],
  queryFn: ({ signal }) => answer(api.GET("/v1/definitions/folder", { signal })),
  refetchInterval: 2 * SOON,
});

export const definitionQuery = (kind: string, name: string, version?: string) =>
  queryOptions({
    queryKey: ["definitions", "one", kind, name, version],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/v1/definitions/{kind}/{name}", {
          signal,
          params: { path: { kind, name }, query: { version } },
          headers: { Accept: "application/json" },
        }),
      ),
    refetchInterval: SOON,
  });

export const profilesQuery = (q: string) =>
  pages(["profiles", q], (after, signal) =>
    answer(api.GET("/v1/profiles", { signal, params: { query: { q: q || undefined, limit: 25, after } } })),
  );

export const profileQuery = (identifier: string) =>
  queryOptions({
    queryKey: ["profile", identifier],
    queryFn: ({ signal }) =>
      answer(api.GET("/v1/profiles/{identifier}", { signal, params: { path: { identifier } } })),
    refetchInterval: SOON,
  });

/** What was does not change, but for what becomes of it. */
export const pastProfileQuery = (identifier: string, as_of: string) =>
  queryOptions({
    queryKey: ["profile", identifier, "as_of", as_of],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/v1/profiles/{identifier}", { signal, params: { path: { identifier }, query: { as_of } } }),
      ),
  });

export const comparisonQuery = (identifier: string, from: string, to: string | undefined) =>
  queryOptions({
    queryKey: ["profile", identifier, "compare", from, to],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/v1/profiles/{identifier}/compare", {
          signal,
          params: { path: { identifier }, query: { from, to } },
        }),
      ),
  });

export const restorationQuery = (identifier: string, as_of: string) =>
  queryOptions({
    queryKey: ["profile", identifier, "restore", as_of],
    queryFn: ({ signal }) =>
      answer(
        api.POST("/v1/profiles/{identifier}/restore", {
          signal,
          params: { path: { identifier } },
          body: { as_of, preview: true },
        }),
      ),
    gcTime: 0,
  });

export const profileEventsQuery = (identifier: string) =>
  infiniteQueryOptions({
    queryKey: ["profile", identifier, "events"],
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET("/v1/profiles/{identifier}/events", {
          signal,
          params: { path: { identifier }, query: { limit: 25, before: pageParam } },
        }),
      ),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
    refetchInterval: (query) => ((query.state.data?.pages.length ?? 0) > 1 ? false : SOON),
  });

export const setAsideQuery = queryOptions({
  queryKey: ["set-aside"],
  queryFn: ({ signal }) => answer(api.GET("/v1/identity/set-aside", { signal })),
  refetchInterval: SOON,
});

export type ProposalFilter = { tier?: Proposal["tier"]; state?: Proposal["state"] };

export const proposalsQuery = ({ tier, state = "open" }: ProposalFilter) =>
  pages(["proposals", "list", tier, state], (after, signal) =>
    answer(api.GET("/v1/proposals", { signal, params: { query: { tier, state, limit: 20, after } } })),
  );

export const proposalCountsQuery = queryOptions({
  queryKey: ["proposals", "counts"],
  queryFn: ({ signal }) => answer(api.GET("/v1/proposals/counts", { signal })),
  refetchInterval: SOON,
});

export const audiencesQuery = queryOptions({
  queryKey: ["audiences"],
  queryFn: ({ signal }) => answer(api.GET("/v1/audiences", { signal })),
  refetchInterval: SOON,
});

export const whyQuery = (identifier: string, audience: string) =>
  queryOptions({
    queryKey: ["profile", identifier, "why", audience],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/v1/profiles/{identifier}/audiences/{audience}/why", {
          signal,
          params: { path: { identifier, audience } },
        }),
      ),
    refetchInterval: SOON,
  });

export const traitsQuery = queryOptions({
  queryKey: ["traits"],
  queryFn: ({ signal }) => answer(api.GET("/v1/traits", { signal })),
  staleTime: SOON,
  refetchInterval: 2 * SOON,
});

export const traitQuery = (name: string) =>
  queryOptions({
    queryKey: ["traits", name],
    queryFn: ({ signal }) => answer(api.GET("/v1/traits/{name}", { signal, params: { path: { name } } })),
    refetchInterval: SOON,
  });

export const membersQuery = (name: string) =>
  pages(["audiences", name, "members"], (after, signal) =>
    answer(
      api.GET("/v1/audiences/{name}/members", {
        signal,
        params: { path: { name }, query: { limit: 50, after } },
      }),
    ),
  );

export const groupsQuery = (q: string) =>
  pages(["groups", "list", q], (after, signal) =>
    answer(api.GET("/v1/groups", { signal, params: { query: { q: q || undefined, limit: 50, after } } })),
  );

export const groupQuery = (id: string) =>
  queryOptions({
    queryKey: ["groups", "one", id],
    queryFn: ({ signal }) => answer(api.GET("/v1/groups/{id}", { signal, params: { path: { id } } })),
    refetchInterval: SOON,
  });

export const groupMembersQuery = (id: string) =>
  pages(["groups", "one", id, "members"], (after, signal) =>
    answer(
      api.GET("/v1/groups/{id}/members", {
        signal,
        params: { path: { id }, query: { limit: 50, after } },
      }),
    ),
  );

export const connectionsQuery = queryOptions({
  queryKey: ["connections"],
  queryFn: ({ signal }) => answer(api.GET("/v1/connections", { signal })),
  refetchInterval: SOON,
});

export const recordsQuery = (name: string, q: string) =>
  pages(["connections", name, "records", q], (after, signal) =>
    answer(
      api.GET("/v1/connections/{name}/records", {
        signal,
        params: { path: { name }, query: { limit: 50, after, q: q || undefined } },
      }),
    ),
  );

export const queueQuery = (name: string) =>
  pages(["connections", name, "queue"], (after, signal) =>
    answer(
      api.GET("/v1/connections/{name}/queue", {
        signal,
        params: { path: { name }, query: { limit: 50, after } },
      }),
    ),
  );

export const deadLettersQuery = (name: string) =>
  pages(["connections", name, "dead-letters"], (after, signal) =>
    answer(
      api.GET("/v1/connections/{name}/dead-letters", {
        signal,
        params: { path: { name }, query: { limit: 50, after } },
      }),
    ),
  );

export const messagesQuery = (status: Message["status"] | undefined, q: string) =>
  pages(["messages", "list", status, q], (after, signal) =>
    answer(
      api.GET("/v1/messages", {
        signal,
        params: { query: { status, q: q || undefined, limit: 50, after } },
      }),
    ),
  );

export const messageQuery = (id: string) =>
  queryOptions({
    queryKey: ["messages", "one", id],
    queryFn: ({ signal }) => answer(api.GET("/v1/messages/{id}", { signal, params: { path: { id } } })),
    refetchInterval: SOON,
  });

export const campaignsQuery = queryOptions({
  queryKey: ["campaigns"],
  queryFn: ({ signal }) => answer(api.GET("/v1/campaigns", { signal })),
  refetchInterval: SOON,
});

export const inboxQuery = (q: string) =>
  pages(["inbox", "list", q], (after, signal) =>
    answer(api.GET("/v1/inbox", { signal, params: { query: { q: q || undefined, limit: 50, after } } })),
  );

export const mailQuery = (id: string) =>
  queryOptions({
    queryKey: ["inbox", "one", id],
    queryFn: ({ signal }) => answer(api.GET("/v1/inbox/{id}", { signal, params: { path: { id } } })),
    staleTime: Number.POSITIVE_INFINITY,
  });
