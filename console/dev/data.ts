// Made-up people of a made-up shop, always the same ones. For development only.
import { createHash } from "node:crypto";

const FIRST =
  "Ada Grace Alan Edsger Barbara Donald Katherine Niklaus Radia Leslie Frances Tony Margaret John Hedy Claude".split(
    " ",
  );
const LAST =
  "Lovelace Hopper Turing Dijkstra Liskov Knuth Johnson Wirth Perlman Lamport Allen Hoare Hamilton Backus Lamarr Shannon".split(
    " ",
  );
const GOODS = [
  "White hanging heart T-light holder",
  "Regency cakestand 3 tier",
  "Jumbo bag red retrospot",
  "Party bunting",
  "Assorted colour bird ornament",
  "Set of 3 cake tins pantry design",
  "Paper chain kit 50's Christmas",
  "Hand warmer owl design",
];
const COUNTRIES = ["United Kingdom", "Germany", "France", "EIRE", "Spain", "Netherlands"];

export const iso = (at: number) => new Date(at).toISOString();
export const uuid = (seed: string) =>
  createHash("sha1")
    .update(seed)
    .digest("hex")
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/, "$1-$2-5$3-8$4-$5");

let state = 20101201;
export function random(): number {
  state = (state * 1664525 + 1013904223) % 4294967296;
  return state / 4294967296;
}
export const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

const DAY = 86_400_000;
export const START = Date.now();

export type Person = ReturnType<typeof person>;
function person(place: number) {
  const first = FIRST[place % FIRST.length] as string;
  const last = LAST[(place * 7 + Math.floor(place / 16)) % LAST.length] as string;
  const number = String(12346 + place * 13);
  const named = place % 9 !== 5;
  return {
    id: uuid(number),
    number,
    first,
    last,
    name: named ? `${first} ${last}` : null,
    email: named ? `${first}.${last}.${number}@example.com`.toLowerCase() : null,
    anonymous: [
      uuid(`a${number}`),
      ...(place % 3 === 0 ? [uuid(`b${number}`)] : []),
      ...(place % 6 === 0 ? [uuid(`c${number}`)] : []),
    ],
    country: COUNTRIES[place % 5 === 0 ? place % COUNTRIES.length : 0] as string,
    value: Math.round(4_000_000 / (place + 3)) / 100,
    orders: 1 + ((place * 5) % 23),
    changed: START - place * 47_000,
  };
}
export const PEOPLE = Array.from({ length: 240 }, (_, place) => person(place));

const identifiers = (one: Person) => [
  { kind: "user_id", value: one.number },
  ...(one.email ? [{ kind: "email", value: one.email }] : []),
  ...one.anonymous.map((value) => ({ kind: "anonymous_id", value })),
];

export const summary = (one: Person) => ({
  id: one.id,
  identifiers: identifiers(one).slice(0, 5),
  name: one.name,
  email: one.email,
  changed_at: iso(one.changed),
});

export function profile(one: Person) {
  const seen = START - 38 * DAY;
  const told = (value: unknown, source: string, days: number, previous: unknown[] = []) => ({
    value,
    source,
    updated_at: iso(START - days * DAY),
    event: uuid(`${one.number}${String(value)}`),
    previous: previous.map((before, place) => ({
      value: before,
      source: place % 2 ? "hubspot" : "shop",
      updated_at: iso(START - (days + 6 + place * 4) * DAY),
      event: uuid(`${one.number}${String(before)}`),
    })),
  });
  return {
    id: one.id,
    identifiers: identifiers(one).map((identifier, place) => ({
      ...identifier,
      first_seen: iso(seen + place * DAY),
      last_seen: iso(one.changed - place * 3 * DAY),
      event: uuid(identifier.value),
    })),
    edges: [
      ...(one.email
        ? [
            {
              a: `user_id:${one.number}`,
              b: `email:${one.email}`,
              event: uuid(`e${one.number}`),
              rule: "identify",
              at: iso(seen + DAY),
            },
          ]
        : []),
      ...one.anonymous.map((value, place) => ({
        a: `anonymous_id:${value}`,
        b: place === 2 && one.email ? `email:${one.email}` : `user_id:${one.number}`,
        event: uuid(`l${value}`),
        rule: place === 1 ? "alias" : "same_event",
        at: iso(seen + (place + 2) * 5 * DAY),
      })),
      ...(one.anonymous[1]
        ? [
            {
              a: `anonymous_id:${one.anonymous[1]}`,
              b: `user_id:${one.number}`,
              event: uuid(`m${one.number}`),
              rule: "identify",
              at: iso(seen + 20 * DAY),
            },
          ]
        : []),
    ],
    attributes: {
      ...(one.name
        ? {
            first_name: told(one.first, "hubspot", 2, [one.first.slice(0, 3), `${one.first}e`]),
            last_name: told(one.last, "shop", 30),
            email: told(one.email, "shop", 30),
          }
        : {}),
      country: told(one.country, "shop", 12, ["Unspecified"]),
      plan: told("pro", "billing", 1, ["starter"]),
      newsletter: told(true, "website", 4),
      made: told(true, "shop", 30),
    },
    traits: {
      lifetime_value: one.value,
      orders: one.orders,
      last_order_at: iso(one.changed - 3 * DAY),
      favourite_product: GOODS[one.orders % GOODS.length],
      distinct_products: one.orders * 4,
      first_order_at: iso(seen),
    },
    audiences: audiences(one).map((name) => ({
      name,
      since: iso(START - 9 * DAY),
      number: one.orders % 7 === 0 ? 2 : 1,
    })),
    version: { "0": 8123, "1": 8090 },
    events: one.orders * 6 + 3,
    first_seen: iso(seen),
    changed_at: iso(one.changed),
  };
}

export const AUDIENCES = [
  {
    name: "customers",
    description: "Everybody who has ordered",
    condition: { op: "exists", trait: "lifetime_value" },
  },
  {
    name: "big_spenders",
    description: "A thousand pounds or more",
    condition: { op: "gte", trait: "lifetime_value", value: 1000 },
  },
  {
    name: "frequent_buyers",
    description: "Five orders or more, in the shop’s home markets",
    condition: {
      op: "and",
      of: [
        { op: "gte", trait: "orders", value: 5 },
        {
          op: "or",
          of: [
            { op: "in", attribute: "country", value: ["United Kingdom", "EIRE"] },
            { op: "gt", trait: "lifetime_value", value: 2500 },
          ],
        },
        { op: "not", of: { op: "eq", attribute: "newsletter", value: false } },
      ],
    },
  },
  {
    name: "abroad",
    description: null,
    condition: { op: "ne", attribute: "country", value: "United Kingdom" },
  },
];
export function audiences(one: Person): string[] {
  return [
    "customers",
    ...(one.value >= 1000 ? ["big_spenders"] : []),
    ...(one.orders >= 5 ? ["frequent_buyers"] : []),
    ...(one.country === "United Kingdom" ? [] : ["abroad"]),
  ];
}

const NAMES = ["Order Completed", "Product Viewed", "Product Added", "Checkout Started", "Email Opened"];
let offset = 91_220;
export function liveEvent(at: number) {
  const one = pick(PEOPLE);
  const dice = random();
  const type = dice < 0.66 ? "track" : dice < 0.86 ? "page" : "identify";
  const name = type === "track" ? pick(NAMES) : type === "page" ? pick(["Home", "Pantry", "Basket"]) : null;
  const rejected = random() < 0.02;
  offset += 1;
  return {
    id: `${offset % 2}:${offset}`,
    type,
    name,
    event_type: type === "track" ? name : type,
    message_id: uuid(`m${offset}`),
    source: pick(["website", "website", "shop", "ios"]),
    timestamp: iso(at - 40),
    received_at: iso(at),
    user_id: random() < 0.8 ? one.number : null,
    anonymous_id: one.anonymous[0] as string,
    properties:
      type === "identify"
        ? { first_name: one.first, last_name: one.last, email: one.email, plan: "pro" }
        : {
            product: pick(GOODS),
            quantity: 1 + (offset % 12),
            price: 2.55,
            revenue: one.value,
            currency: "GBP",
          },
    rejected: rejected
      ? {
          code: "bad_property",
          reason:
            "properties.revenue is text; the tracking plan of the source wants a number. Send it without quotes.",
        }
      : null,
  };
}

const STATUSES = [
  "sent",
  "sent",
  "sent",
  "sent",
  "sent",
  "queued",
  "sent",
  "refused",
  "sent",
  "unknown",
  "sent",
  "sent",
  "sending",
];
export const MESSAGES = PEOPLE.filter(({ email, value }) => email && value >= 300)
  .slice(0, 120)
  .map((one, place) => {
    const status = STATUSES[place % STATUSES.length] as string;
    const at = START - place * 190_000;
    return {
      id: uuid(`message${one.number}`),
      status,
      to: one.email as string,
      subject: status === "queued" ? null : `Thank you, ${one.first}`,
      template: "welcome",
      campaign: place % 11 === 4 ? null : "welcome_big_spenders",
      profile: one.id,
      message_id: `<${uuid(`rfc${one.number}`)}@shop.example>`,
      created_at: iso(at - 2_400),
      sent_at: status === "sent" ? iso(at) : null,
      attempts:
        status === "queued" || status === "sending"
          ? []
          : [
              ...(place % 4 === 0
                ? [{ at: iso(at - 61_000), outcome: "deferred", detail: "451 4.7.1 Try again later" }]
                : []),
              {
                at: iso(at),
                outcome: status,
                detail:
                  status === "sent"
                    ? "250 2.0.0 Ok: queued"
                    : status === "refused"
                      ? "550 5.1.1 No such user here"
                      : "No answer within 60 s after the last dot",
              },
            ],
      reason:
        status === "refused"
          ? "550 5.1.1 No such user here. Correct the address of this person; it is not tried again."
          : status === "unknown"
            ? "The relay took the whole mail and hung before it answered."
            : null,
    };
  });

const HTML = (
  first: string,
) => `<!doctype html><html><head><style>body{margin:0;background:#f4f5f4;font-family:Georgia,serif;color:#1d2322}
.card{max-width:520px;margin:32px auto;background:#fff;border-radius:8px;padding:36px}a{display:inline-block;margin-top:12px;padding:10px 18px;background:#147d72;color:#fff;text-decoration:none;border-radius:6px}</style></head>
<body><div class="card"><h1 style="font-weight:500">Thank you, ${first}</h1><p>You are one of our best customers, so the next parcel is on us.</p><p><b>Hand warmer owl design</b> is back in stock.</p><a href="https://shop.example/">To the shop</a>
<img src="https://tracker.example/pixel.gif" width="1" height="1"><script>parent.document.title='owned'</script></div></body></html>`;
export const MAILS = MESSAGES.filter(({ status }) => status === "sent" || status === "unknown").map(
  (message, place) => {
    const first = message.subject?.split(", ")[1] ?? "";
    return {
      id: String(1000 - place),
      message_id: message.message_id,
      from: "Obverse Shop <hello@shop.example>",
      to: [message.to],
      subject: message.subject ?? "",
      received_at: message.attempts.at(-1)?.at ?? message.created_at,
      preview: `Thank you, ${first}. You are one of our best customers, so the next parcel is on us.`,
      headers: [
        ["From", "Obverse Shop <hello@shop.example>"],
        ["To", message.to],
        ["Subject", message.subject ?? ""],
        ["Message-ID", message.message_id],
        ["List-Unsubscribe", "<https://shop.example/u/8f2c>"],
        ["List-Unsubscribe-Post", "List-Unsubscribe=One-Click"],
        ["MIME-Version", "1.0"],
      ],
      text: `Thank you, ${first}\n\nYou are one of our best customers, so the next parcel is on us.\n\nHand warmer owl design is back in stock.\nTo the shop: https://shop.example/`,
      html: HTML(first),
      attachments: place % 5 === 1 ? [{ name: "voucher.pdf", type: "application/pdf", bytes: 48_213 }] : [],
    };
  },
);

const FIELDS = [
  { field: "email", from: "attribute.email", direction: "both" },
  { field: "firstname", from: "attribute.first_name", direction: "both" },
  { field: "lastname", from: "attribute.last_name", direction: "both" },
  { field: "lifetime_value", from: "trait.lifetime_value", direction: "out" },
  { field: "lifecyclestage", from: "attribute.stage", direction: "in" },
];
const WITH_ADDRESS = PEOPLE.filter(({ email }) => email);
export const RECORDS = WITH_ADDRESS.map((one, place) => ({
  record_id: String(512_000_017 + place * 31),
  profile: one.id,
  email: one.email,
  fields: { email: one.email, firstname: one.first, lastname: one.last, lifetime_value: one.value },
  synced_at: iso(one.changed + 900),
}));
export const DEAD = WITH_ADDRESS.slice(20, 27).map((one, place) => ({
  id: uuid(`dead${place}`),
  profile: one.id,
  reason:
    place % 3 === 0
      ? `Property values were not valid: email “${one.first.toLowerCase()}@localhost” is no address`
      : place % 3 === 1
        ? "Contact already exists. Existing ID: 512000910"
        : "Property “lifecyclestage” does not exist",
  remedy:
    place % 3 === 0
      ? "Correct the address on the profile by an identify event, then retry."
      : place % 3 === 1
        ? "Merge the two contacts in the CRM, then retry."
        : "Add the property in the CRM or take it out of the mapping, then retry.",
  attempts: Array.from({ length: 1 + (place % 4) }, (_, attempt) => ({
    at: iso(START - DAY + place * 5_000_000 + attempt * 34_000),
    error: attempt < place % 4 ? "502 Bad Gateway" : "400 VALIDATION_ERROR",
  })),
  fields: { email: one.email, firstname: one.first, lastname: one.last, lifetime_value: one.value },
  died_at: iso(START - DAY + place * 5_000_000 + 200_000),
}));
export const QUEUE = WITH_ADDRESS.slice(40, 52).map((one, place) => ({
  profile: one.id,
  due_at: iso(START + place * 9_000),
  attempts: place % 4,
  last_error: place % 4 ? "429 Too Many Requests; asked to wait 10 s" : null,
}));
export const CONNECTIONS = [
  {
    name: "hubspot",
    crm: "hubspot",
    state: "ok",
    reason: null as string | null,
    remedy: null as string | null,
    waiting: QUEUE.length,
    dead: DEAD.length,
    records: RECORDS.length,
    last_success_at: iso(START - 4_000),
    fields: FIELDS,
  },
  {
    name: "field_sales",
    crm: "salesforce",
    state: "unreachable",
    reason: "login.salesforce.example refused the connection (3 attempts)",
    remedy:
      "See whether the address in the settings is right and reachable; changes wait and are written when it is back.",
    waiting: 1840,
    dead: 0,
    records: 9120,
    last_success_at: iso(START - 5_400_000),
    fields: FIELDS.slice(0, 3),
  },
];
export const CAMPAIGNS = [
  {
    name: "welcome_big_spenders",
    trigger: "entered big_spenders",
    template: "welcome",
    queued: MESSAGES.filter(({ status }) => status === "queued").length,
    sent: MESSAGES.filter(({ status }) => status === "sent").length,
    refused: MESSAGES.filter(({ status }) => status === "refused").length,
    unknown: MESSAGES.filter(({ status }) => status === "unknown").length,
  },
  {
    name: "win_back",
    trigger: "left frequent_buyers",
    template: "we_miss_you",
    queued: 0,
    sent: 318,
    refused: 2,
    unknown: 0,
  },
];
