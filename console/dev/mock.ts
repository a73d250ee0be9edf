// Answers for the API while the console is developed. The cookie `mock` makes it `empty`, `broken` or `signed-out`.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Connect, Plugin } from "vite";
import * as data from "./data.ts";

const STARTED = Date.now();
let signedIn = true;

export function mockApi(): Plugin {
  return {
    name: "obverse-mock-api",
    configureServer: (server) => void server.middlewares.use(answer),
    configurePreviewServer: (server) => void server.middlewares.use(answer),
  };
}

class Refused extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly remedy: string,
  ) {
    super(detail);
  }
}

const answer: Connect.NextHandleFunction = (request, response, next) => {
  const url = new URL(request.url ?? "/", "http://mock");
  if (!url.pathname.startsWith("/v1/") && url.pathname !== "/ready") return next();
  const mode = /(?:^|;\s*)mock=([\w-]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";
  if (url.pathname === "/v1/events/live") return live(request, response, url, mode);
  void read(request).then((body) => {
    try {
      const [status, content] = route(request.method ?? "GET", url, body, mode);
      send(response, status, content);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { status, detail, remedy } = error;
      send(response, status, { type: "urn:obverse:problem:mock", title: "Problem", status, detail, remedy });
    }
  });
};

function send(response: ServerResponse, status: number, content: unknown): void {
  response.statusCode = status;
  response.setHeader("Content-Type", status < 400 ? "application/json" : "application/problem+json");
  response.end(content === undefined ? undefined : JSON.stringify(content));
}

async function read(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text ? JSON.parse(text) : {};
}

const began = (text: string | null, ...values: (string | null)[]) =>
  !text || values.some((value) => value?.toLowerCase().startsWith(text.toLowerCase()));

function page<T>(all: readonly T[], url: URL, cursor = "after") {
  const from = Number(url.searchParams.get(cursor) ?? 0);
  const to = from + Number(url.searchParams.get("limit") ?? 25);
  return { rows: all.slice(from, to), next: to < all.length ? String(to) : null };
}

const rateAt = (at: number) =>
  Math.max(0, 840 + 310 * Math.sin(at / 21_000) + 160 * Math.sin(at / 4_700) + 90 * Math.sin(at / 900));
let received = 512_000;
let counted = Date.now();

function overview(empty: boolean) {
  if (empty) {
    return {
      profiles: 0,
      merges: 0,
      events: 0,
      rejected: 0,
      received: 0,
      audiences: {},
      lag: {},
      connections: [],
      messages: { queued: 0, sent: 0, refused: 0, unknown: 0 },
    };
  }
  const now = Date.now();
  received += Math.round((rateAt(now) * (now - counted)) / 1000);
  counted = now;
  const seconds = (now - STARTED) / 1000;
  const of = (status: string) => data.MESSAGES.filter((one) => one.status === status).length;
  return {
    profiles: 21_408 + Math.floor(seconds * 3),
    merges: 1_962 + Math.floor(seconds / 2),
    events: received - 4_120,
    rejected: 37,
    received,
    audiences: {
      customers: 18_240,
      big_spenders: 1_322 + Math.floor(seconds / 5),
      frequent_buyers: 4_011,
      abroad: 2_207,
    },
    lag: {
      "0": { appended: received, kept: received - 2_100, lag: 2_100 },
      "1": { appended: received, kept: received - 2_020, lag: 2_020 },
    },
    connections: data.CONNECTIONS.map(({ name, crm, state, waiting, dead }) => ({
      name,
      crm,
      state,
      waiting,
      dead,
    })),
    messages: { queued: of("queued"), sent: of("sent"), refused: of("refused"), unknown: of("unknown") },
  };
}

function route(method: string, url: URL, body: Record<string, unknown>, mode: string): [number, unknown] {
  const empty = mode === "empty";
  const q = url.searchParams.get("q");
  const parts = url.pathname.split("/").slice(1).map(decodeURIComponent);
  if (url.pathname === "/v1/session") return session(method, body, mode);
  if (mode === "signed-out" || !signedIn)
    throw new Refused(401, "You are not signed in.", "Open a sign-in link.");
  if (mode === "broken") {
    if (url.pathname === "/ready") {
      return [
        503,
        {
          detail: "the store cannot be read",
          remedy: "start it",
          components: [
            {
              name: "store",
              status: "unreachable",
              detail: "connection refused on 127.0.0.1:5432",
              remedy: "Start PostgreSQL, or correct DATABASE_URL.",
            },
            { name: "cache", status: "ok" },
          ],
        },
      ];
    }
    throw new Refused(
      503,
      "the store cannot be read: connection refused on 127.0.0.1:5432",
      "Ask again in a second; /ready tells which component is missing.",
    );
  }
  switch (`${method} /${parts[0]}${parts[1] ? `/${parts[1]}` : ""}`) {
    case "GET /ready":
      return [200, ready()];
    case "GET /v1/overview":
      return [200, overview(empty)];
    case "GET /v1/events":
      return [
        200,
        {
          events: empty
            ? []
            : Array.from({ length: 60 }, (_, place) =>
                data.liveEvent(Date.now() - (60 - place) * 700),
              ).toReversed(),
          next: null,
        },
      ];
    case "GET /v1/profiles":
      return profiles(parts, url, q, empty);
    case "GET /v1/audiences":
      return audiences(parts, url, empty);
    case "GET /v1/connections":
    case "POST /v1/connections":
      return connections(parts, url, q, body, empty);
    case "GET /v1/messages":
    case "POST /v1/messages":
      return messages(parts, url, q, body, empty);
    case "GET /v1/campaigns":
      return [200, { campaigns: empty ? [] : data.CAMPAIGNS }];
    case "GET /v1/inbox":
      return inbox(parts, url, q, empty);
    default:
      throw new Refused(404, "there is nothing at this address", "see /docs for all addresses");
  }
}

function session(method: string, body: Record<string, unknown>, mode: string): [number, unknown] {
  if (method === "DELETE") signedIn = false;
  if (method === "POST") {
    if (body.token !== "good")
      throw new Refused(401, "this link was used or has expired", "run `obverse sign-in`");
    signedIn = true;
  }
  if (method !== "GET") return [204, undefined];
  if (mode === "signed-out" || !signedIn)
    throw new Refused(401, "You are not signed in.", "Open a sign-in link.");
  return [200, { name: "administrator", expires_at: data.iso(Date.now() + 86_400_000) }];
}

const ready = () => ({
  status: "degraded",
  components: [
    ...["collector", "worker", "store", "cache", "mail_service"].map((name) => ({
      name,
      status: "ok",
      reason: null,
      remedy: null,
    })),
    {
      name: "field_sales",
      status: "unreachable",
      reason: "login.salesforce.example refused the connection",
      remedy: "See whether the address in the settings is right. Changes wait meanwhile.",
    },
  ],
});

function profiles(parts: string[], url: URL, q: string | null, empty: boolean): [number, unknown] {
  if (parts.length === 2) {
    const found = empty
      ? []
      : data.PEOPLE.filter((one) => began(q, one.number, one.email, one.id, ...one.anonymous));
    const { rows, next } = page(found, url);
    return [200, { profiles: rows.map(data.summary), next }];
  }
  const [kind, ...rest] = (parts[2] ?? "").split(":");
  const value = rest.join(":");
  const one = data.PEOPLE.find(
    (person) =>
      (kind === "id" && person.id === value) ||
      (kind === "user_id" && person.number === value) ||
      (kind === "email" && person.email === value) ||
      (kind === "anonymous_id" && person.anonymous.includes(value)),
  );
  if (!one)
    throw new Refused(404, `nobody has ${parts[2]}`, "look for another identifier of the same person");
  if (parts[3] !== "events") return [200, data.profile(one)];
  const all = Array.from({ length: 70 }, (_, place) => {
    const { id: _id, rejected: _rejected, ...event } = data.liveEvent(one.changed - place * 3_700_000);
    return {
      ...event,
      id: 90_000 - place,
      user_id: one.number,
      group_id: null,
      previous_id: null,
      context: { library: { name: "analytics.js", version: "2.1.0" } },
    };
  });
  const { rows, next } = page(all, url, "before");
  return [200, { events: rows, next: next === null ? null : Number(next) }];
}

function audiences(parts: string[], url: URL, empty: boolean): [number, unknown] {
  const members = (name: string) => data.PEOPLE.filter((one) => data.audiences(one).includes(name));
  if (parts.length === 2) {
    return [
      200,
      {
        audiences: empty ? [] : data.AUDIENCES.map((one) => ({ ...one, members: members(one.name).length })),
      },
    ];
  }
  const all = empty ? [] : members(parts[2] as string);
  const { rows, next } = page(all, url);
  return [
    200,
    {
      members: rows.map((one, place) => ({
        profile: one.id,
        name: one.name,
        email: one.email,
        since: data.iso(one.changed - place * 900_000),
        number: one.orders % 7 === 0 ? 2 : 1,
      })),
      next,
      total: all.length,
    },
  ];
}

function connections(
  parts: string[],
  url: URL,
  q: string | null,
  body: Record<string, unknown>,
  empty: boolean,
): [number, unknown] {
  if (parts.length === 2) return [200, { connections: empty ? [] : data.CONNECTIONS }];
  const first = parts[2] === "hubspot" && !empty;
  switch (parts.slice(3).join("/")) {
    case "records": {
      const { rows, next } = page(
        first ? data.RECORDS.filter((one) => began(q, one.email, one.record_id)) : [],
        url,
      );
      return [200, { records: rows, next }];
    }
    case "queue": {
      const { rows, next } = page(first ? data.QUEUE : [], url);
      return [200, { waiting: rows, next }];
    }
    case "dead-letters": {
      const { rows, next } = page(first ? data.DEAD : [], url);
      return [200, { dead_letters: rows, next }];
    }
    case "dead-letters/retry": {
      const ids = body.all ? data.DEAD.map(({ id }) => id) : (body.ids as string[]);
      for (const id of ids) {
        const place = data.DEAD.findIndex((one) => one.id === id);
        if (place >= 0) data.DEAD.splice(place, 1);
      }
      for (const connection of data.CONNECTIONS)
        if (connection.name === "hubspot") connection.dead = data.DEAD.length;
      return [200, { retried: ids.length }];
    }
    default:
      throw new Refused(404, "there is nothing at this address", "see /docs for all addresses");
  }
}

function messages(
  parts: string[],
  url: URL,
  q: string | null,
  body: Record<string, unknown>,
  empty: boolean,
): [number, unknown] {
  const status = url.searchParams.get("status");
  if (parts.length === 2) {
    const found = empty
      ? []
      : data.MESSAGES.filter((one) => (!status || one.status === status) && began(q, one.to, one.subject));
    const { rows, next } = page(found, url);
    return [200, { messages: rows, next }];
  }
  const one = data.MESSAGES.find(({ id }) => id === parts[2]);
  if (!one)
    throw new Refused(404, `no message has the id ${parts[2]}`, "see GET /v1/messages for those there are");
  if (parts[3] === "resolve") {
    one.status = body.as === "sent" ? "sent" : "queued";
    one.reason = null;
  }
  return [200, one];
}

function inbox(parts: string[], url: URL, q: string | null, empty: boolean): [number, unknown] {
  if (parts.length === 2) {
    const found = empty
      ? []
      : data.MAILS.filter((one) => !q || JSON.stringify(one).toLowerCase().includes(q.toLowerCase()));
    const { rows, next } = page(found, url);
    const brief = rows.map(({ headers: _h, text: _t, html: _m, attachments: _a, ...rest }) => rest);
    return [200, { messages: brief, next, total: found.length, distinct: found.length }];
  }
  const mail = data.MAILS.find(({ id }) => id === parts[2]);
  if (!mail)
    throw new Refused(404, `no mail has the id ${parts[2]}`, "it may have been emptied; see GET /v1/inbox");
  return [200, mail];
}

function live(request: IncomingMessage, response: ServerResponse, url: URL, mode: string): void {
  if (mode === "broken" || mode === "signed-out") {
    send(response, mode === "broken" ? 503 : 401, { detail: "the log cannot be read", remedy: "ask again" });
    return;
  }
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  response.flushHeaders();
  const { source, type, q } = Object.fromEntries(url.searchParams) as Record<string, string | undefined>;
  const events = setInterval(() => {
    if (mode === "empty") return;
    const come = Array.from({ length: 1 + Math.floor(Math.random() * 3) }, () =>
      data.liveEvent(Date.now()),
    ).filter(
      (event) =>
        (!source || event.source === source) &&
        (!type || event.type === type) &&
        (!q || JSON.stringify(event).toLowerCase().includes(q.toLowerCase())),
    );
    const last = come.at(-1);
    if (last) response.write(`id: ${last.id}\nevent: events\ndata: ${JSON.stringify(come)}\n\n`);
  }, 900);
  const pings = setInterval(() => response.write("event: ping\ndata: {}\n\n"), 10_000);
  request.on("close", () => {
    clearInterval(events);
    clearInterval(pings);
  });
}
