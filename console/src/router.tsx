import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from "@tanstack/react-router";
import { NotFound } from "./pages/NotFound";
import { Overview } from "./pages/Overview";
import { Crashed } from "./parts/Crashed";
import { Loading } from "./parts/States";
import { Shell } from "./shell/Shell";

// Every filter of every page is in its address. What an address says badly is left out.
const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;
const among =
  <T extends string>(...allowed: T[]) =>
  (value: unknown): T | undefined =>
    allowed.find((one) => one === value);

const root = createRootRouteWithContext<{ queries: QueryClient }>()({ notFoundComponent: NotFound });

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search: Record<string, unknown>): { to?: string } => ({ to: text(search.to) }),
  component: lazyRouteComponent(() => import("./pages/SignIn"), "SignIn"),
});

const shell = createRoute({ getParentRoute: () => root, id: "shell", component: Shell });

const overview = createRoute({ getParentRoute: () => shell, path: "/", component: Overview });

const events = createRoute({
  getParentRoute: () => shell,
  path: "/events",
  validateSearch: (search: Record<string, unknown>): { source?: string; type?: string; q?: string } => ({
    source: text(search.source),
    type: text(search.type),
    q: text(search.q),
  }),
  component: lazyRouteComponent(() => import("./pages/Events"), "Events"),
});

const rejectedState = among("open", "waiting", "replayed");
const rejected = createRoute({
  getParentRoute: () => shell,
  path: "/rejected",
  validateSearch: (
    search: Record<string, unknown>,
  ): { source?: string; code?: string; state?: "open" | "waiting" | "replayed" } => ({
    source: text(search.source),
    code: text(search.code),
    state: rejectedState(search.state),
  }),
  component: lazyRouteComponent(() => import("./pages/Rejected"), "Rejected"),
});

const sources = createRoute({
  getParentRoute: () => shell,
  path: "/sources",
  component: lazyRouteComponent(() => import("./pages/Sources"), "Sources"),
});

const loads = createRoute({
  getParentRoute: () => shell,
  path: "/loads",
  component: lazyRouteComponent(() => import("./pages/Loads"), "Loads"),
});

const load = createRoute({
  getParentRoute: () => shell,
  path: "/loads/$id",
  component: lazyRouteComponent(() => import("./pages/Load"), "LoadPage"),
});

const profiles = createRoute({
  getParentRoute: () => shell,
  path: "/profiles",
  validateSearch: (search: Record<string, unknown>): { q?: string } => ({ q: text(search.q) }),
  component: lazyRouteComponent(() => import("./pages/Profiles"), "Profiles"),
});

const profileTab = among("timeline", "graph", "compare");
const profile = createRoute({
  getParentRoute: () => shell,
  path: "/profiles/$id",
  validateSearch: (
    search: Record<string, unknown>,
  ): { tab?: "timeline" | "graph" | "compare"; as_of?: string; why?: string } => ({
    tab: profileTab(search.tab),
    why: text(search.why),
    as_of: typeof search.as_of === "string" ? search.as_of : undefined,
  }),
  component: lazyRouteComponent(() => import("./pages/Profile"), "ProfilePage"),
});

const shared = createRoute({
  getParentRoute: () => shell,
  path: "/shared",
  component: lazyRouteComponent(() => import("./pages/Shared"), "Shared"),
});

const matchTier = among("exact", "strict", "loose");
const matchState = among("open", "accepted", "rejected", "merged", "closed");
const matches = createRoute({
  getParentRoute: () => shell,
  path: "/matches",
  validateSearch: (
    search: Record<string, unknown>,
  ): { tier?: ReturnType<typeof matchTier>; state?: ReturnType<typeof matchState> } => ({
    tier: matchTier(search.tier),
    state: matchState(search.state),
  }),
  component: lazyRouteComponent(() => import("./pages/Matches"), "Matches"),
});

const audiences = createRoute({
  getParentRoute: () => shell,
  path: "/audiences",
  component: lazyRouteComponent(() => import("./pages/Audiences"), "Audiences"),
});

const audienceBuilder = createRoute({
  getParentRoute: () => shell,
  path: "/audiences/new",
  validateSearch: (search: Record<string, unknown>): { from?: string; edit?: string; sql?: string } => ({
    from: text(search.from),
    edit: text(search.edit),
    sql: text(search.sql),
  }),
  component: lazyRouteComponent(() => import("./pages/AudienceBuilder"), "AudienceBuilder"),
});

const audience = createRoute({
  getParentRoute: () => shell,
  path: "/audiences/$name",
  component: lazyRouteComponent(() => import("./pages/Audience"), "AudiencePage"),
});

const traits = createRoute({
  getParentRoute: () => shell,
  path: "/traits",
  component: lazyRouteComponent(() => import("./pages/Traits"), "Traits"),
});

const trait = createRoute({
  getParentRoute: () => shell,
  path: "/traits/$name",
  component: lazyRouteComponent(() => import("./pages/Trait"), "TraitPage"),
});

const definitions = createRoute({
  getParentRoute: () => shell,
  path: "/definitions",
  validateSearch: (search: Record<string, unknown>): { kind?: string; q?: string } => ({
    kind: text(search.kind),
    q: text(search.q),
  }),
  component: lazyRouteComponent(() => import("./pages/Definitions"), "Definitions"),
});

const definition = createRoute({
  getParentRoute: () => shell,
  path: "/definitions/$kind/$name",
  validateSearch: (search: Record<string, unknown>): { version?: string } => ({
    version: text(search.version),
  }),
  component: lazyRouteComponent(() => import("./pages/Definition"), "DefinitionPage"),
});

const groups = createRoute({
  getParentRoute: () => shell,
  path: "/groups",
  validateSearch: (search: Record<string, unknown>): { q?: string } => ({ q: text(search.q) }),
  component: lazyRouteComponent(() => import("./pages/Groups"), "Groups"),
});

const group = createRoute({
  getParentRoute: () => shell,
  path: "/groups/$id",
  component: lazyRouteComponent(() => import("./pages/Group"), "GroupPage"),
});

const crm = createRoute({
  getParentRoute: () => shell,
  path: "/crm",
  component: lazyRouteComponent(() => import("./pages/Crm"), "Crm"),
});

const connectionTab = among("queue", "dead-letters", "mapping");
const connection = createRoute({
  getParentRoute: () => shell,
  path: "/crm/$name",
  validateSearch: (
    search: Record<string, unknown>,
  ): { tab?: "queue" | "dead-letters" | "mapping"; q?: string } => ({
    tab: connectionTab(search.tab),
    q: text(search.q),
  }),
  component: lazyRouteComponent(() => import("./pages/Connection"), "ConnectionPage"),
});

const messageTab = among("campaigns");
const messageStatus = among("queued", "waiting", "sending", "sent", "refused", "unknown");
const messages = createRoute({
  getParentRoute: () => shell,
  path: "/messages",
  validateSearch: (
    search: Record<string, unknown>,
  ): { tab?: "campaigns"; status?: ReturnType<typeof messageStatus>; q?: string } => ({
    tab: messageTab(search.tab),
    status: messageStatus(search.status),
    q: text(search.q),
  }),
  component: lazyRouteComponent(() => import("./pages/Messages"), "Messages"),
});

const message = createRoute({
  getParentRoute: () => shell,
  path: "/messages/$id",
  component: lazyRouteComponent(() => import("./pages/Message"), "MessagePage"),
});

const inbox = createRoute({
  getParentRoute: () => shell,
  path: "/inbox",
  validateSearch: (search: Record<string, unknown>): { q?: string } => ({ q: text(search.q) }),
  component: lazyRouteComponent(() => import("./pages/Inbox"), "Inbox"),
});

const mailTab = among("text", "headers");
const mail = createRoute({
  getParentRoute: () => shell,
  path: "/inbox/$id",
  validateSearch: (search: Record<string, unknown>): { tab?: "text" | "headers" } => ({
    tab: mailTab(search.tab),
  }),
  component: lazyRouteComponent(() => import("./pages/Mail"), "MailPage"),
});

const nowhere = createRoute({ getParentRoute: () => shell, path: "$", component: NotFound });

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    shell.addChildren([
      overview,
      events,
      rejected,
      sources,
      loads,
      load,
      profiles,
      profile,
      shared,
      matches,
      audiences,
      audienceBuilder,
      audience,
      traits,
      trait,
      definitions,
      definition,
      groups,
      group,
      crm,
      connection,
      messages,
      message,
      inbox,
      mail,
      nowhere,
    ]),
  ]),
  context: { queries: undefined as unknown as QueryClient },
  defaultPreload: "intent",
  defaultNotFoundComponent: NotFound,
  defaultErrorComponent: Crashed,
  defaultPendingComponent: Loading,
  scrollRestoration: true,
  // Plain text, so that ?q=17850 is that and no JSON.
  parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
  stringifySearch: (search) => {
    const said = Object.entries(search).filter(([, value]) => value !== undefined && value !== "");
    const written = new URLSearchParams(said.map(([name, value]) => [name, String(value)])).toString();
    return written ? `?${written}` : "";
  },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
