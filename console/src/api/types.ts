// The words that pages use, each read off an address: they follow when paths.ts changes.
import type { paths } from "./paths";

type Answer<Path extends keyof paths> = paths[Path] extends {
  get: { responses: { 200: { content: { "application/json": infer Content } } } };
}
  ? Content
  : never;

export type Overview = Answer<"/v1/overview">;
export type Ready = Answer<"/ready">;
export type Component = Ready["components"][number];
export type LiveEvent = Answer<"/v1/events">["events"][number];
export type RejectedEvent = Answer<"/v1/rejected-events">["rejected"][number];
export type Source = Answer<"/v1/sources">["sources"][number];
export type Definition = Answer<"/v1/definitions">["definitions"][number];
export type DefinitionDocument = Answer<"/v1/definitions/{kind}/{name}">;
export type DefinitionsFolder = Answer<"/v1/definitions/folder">;
export type Load = Answer<"/v1/loads/{load}">;
export type LoadMapping = NonNullable<Load["mapping"]>;
export type ProfileSummary = Answer<"/v1/profiles">["profiles"][number];
export type Profile = Answer<"/v1/profiles/{identifier}">;
export type Comparison = Answer<"/v1/profiles/{identifier}/compare">;
export type Restoration =
  paths["/v1/profiles/{identifier}/restore"]["post"]["responses"][200]["content"]["application/json"];
export type ProfileEvent = Answer<"/v1/profiles/{identifier}/events">["events"][number];
export type Attribute = Profile["attributes"][string];
export type Edge = Profile["edges"][number];
export type Identifier = Profile["identifiers"][number];
export type Proposal = Answer<"/v1/proposals">["proposals"][number];
export type Audience = Answer<"/v1/audiences">["audiences"][number];
export type Preview = paths["/v1/audiences/preview"]["post"]["responses"][200]["content"]["application/json"];
export type Reason = Answer<"/v1/profiles/{identifier}/audiences/{audience}/why">["reason"];
export type TraitValues = Answer<"/v1/traits/{name}">;
export type Connection = Answer<"/v1/connections">["connections"][number];
export type DeadLetter = Answer<"/v1/connections/{name}/dead-letters">["dead_letters"][number];
export type Message = Answer<"/v1/messages/{id}">;
export type Mail = Omit<Answer<"/v1/inbox/{id}">, "headers"> & { headers: string[][] };
export type Problem = import("./generated").Problem;
