// What the API answers and its OpenAPI document does not tell yet.
// When it does: generate, name the generated types in paths.ts, delete this file.
import type { OverviewData, OverviewResponses, ReadyData, ReadyResponses } from "./generated";

export type { OverviewData, ReadyData };

type Paging = { limit?: number; after?: string };
type Search = Paging & { q?: string };

/** Figures that the overview gains. `received` is of the log: its difference between two polls is the rate. */
export type Overview = OverviewResponses[200] & {
  received?: number;
  connections?: {
    name: string;
    crm: string;
    state: ConnectionState;
    waiting: number;
    dead: number;
  }[];
  messages?: Record<MessageStatus | "queued", number>;
};

export type Ready = Omit<ReadyResponses[200], "status" | "components"> & {
  status: string;
  components: {
    name: string;
    status: string;
    reason?: string | null;
    detail?: string | null;
    remedy?: string | null;
  }[];
};

export type ConnectionState = "ok" | "waiting" | "unreachable" | "refused";
export type MessageStatus = "queued" | "sending" | "sent" | "refused" | "unknown";

export type Session = { name: string; expires_at: string };

export type LiveEvent = {
  /** `partition:offset` */
  id: string;
  type: string;
  name: string | null;
  event_type: string;
  message_id: string;
  source: string;
  timestamp: string;
  received_at: string;
  user_id: string | null;
  anonymous_id: string | null;
  properties: { [key: string]: unknown };
  rejected: null | { code: string; reason: string };
};

export type ProfileSummary = {
  id: string;
  identifiers: { kind: string; value: string }[];
  name: string | null;
  email: string | null;
  changed_at: string;
};

export type Condition =
  | { op: "and" | "or"; of: Condition[] }
  | { op: "not"; of: Condition }
  | { op: string; trait?: string; attribute?: string; value?: unknown };

export type Audience = {
  name: string;
  description: string | null;
  members: number;
  condition: Condition;
};

export type Member = {
  profile: string;
  name: string | null;
  email: string | null;
  since: string;
  number: number;
};

export type Connection = {
  name: string;
  crm: string;
  state: ConnectionState;
  reason: string | null;
  remedy: string | null;
  waiting: number;
  dead: number;
  records: number;
  last_success_at: string | null;
  fields: { field: string; from: string; direction: "both" | "out" | "in" }[];
};

export type CrmRecord = {
  record_id: string;
  profile: string | null;
  email: string | null;
  fields: { [field: string]: unknown };
  synced_at: string;
};

export type QueuedSync = {
  profile: string;
  due_at: string;
  attempts: number;
  last_error: string | null;
};

export type DeadLetter = {
  id: string;
  profile: string;
  reason: string;
  remedy: string | null;
  attempts: { at: string; error: string }[];
  fields: { [field: string]: unknown };
  died_at: string;
};

export type Message = {
  id: string;
  status: MessageStatus;
  to: string;
  subject: string | null;
  template: string;
  campaign: string | null;
  profile: string | null;
  /** As RFC 5322 has it. */
  message_id: string;
  created_at: string;
  sent_at: string | null;
  attempts: { at: string; outcome: string; detail: string | null }[];
  reason: string | null;
};

export type Campaign = {
  name: string;
  trigger: string;
  template: string;
  queued: number;
  sent: number;
  refused: number;
  unknown: number;
};

export type MailSummary = {
  id: string;
  message_id: string | null;
  from: string;
  to: string[];
  subject: string;
  received_at: string;
  preview: string;
};

export type Mail = MailSummary & {
  /** Each a name and a value. */
  headers: string[][];
  text: string | null;
  html: string | null;
  attachments: { name: string; type: string; bytes: number }[];
};

type Read<Answer, Query = never, Path = never> = {
  data: { path: Path; query?: Query };
  answer: { 200: Answer };
};
type Write<Answer, Body, Path = never, Status extends number = 200> = {
  data: { path: Path; body: Body };
  answer: { [S in Status]: Answer };
};
type Name = { name: string };
type Id = { id: string };

export type Pending = {
  overview: Read<Overview>;
  ready: Read<Ready>;
  session: Read<Session>;
  signIn: Write<undefined, { token: string }, never, 204>;
  signOut: Write<undefined, never, never, 204>;
  events: Read<{ events: LiveEvent[]; next: string | null }, Paging>;
  profiles: Read<{ profiles: ProfileSummary[]; next: string | null }, Search>;
  audiences: Read<{ audiences: Audience[] }>;
  members: Read<{ members: Member[]; next: string | null; total: number }, Paging, Name>;
  connections: Read<{ connections: Connection[] }>;
  records: Read<{ records: CrmRecord[]; next: string | null }, Search, Name>;
  queue: Read<{ waiting: QueuedSync[]; next: string | null }, Paging, Name>;
  deadLetters: Read<{ dead_letters: DeadLetter[]; next: string | null }, Paging, Name>;
  retry: Write<{ retried: number }, { ids: string[] } | { all: true }, Name>;
  messages: Read<{ messages: Message[]; next: string | null }, Search & { status?: string }>;
  message: Read<Message, never, Id>;
  resolve: Write<Message, { as: "sent" | "resend" }, Id>;
  campaigns: Read<{ campaigns: Campaign[] }>;
  inbox: Read<{ messages: MailSummary[]; next: string | null; total: number; distinct: number }, Search>;
  mail: Read<Mail, never, Id>;
};
