// Ties generated types to openapi-fetch: one line an address, one small type for them all.
import type { ProfileData, ProfileEventsData, ProfileEventsResponses, ProfileResponses } from "./generated";
import type { Pending } from "./pending";

type Part<Data, Key extends string> = Key extends keyof Data ? NonNullable<Data[Key]> : never;
type Parameter<Key extends string, Value> = [Value] extends [never]
  ? { [K in Key]?: never }
  : { [K in Key]: Value };
type Query<Value> = [Value] extends [never] ? { query?: never } : { query?: Value };

type Operation<Data, Answers> = {
  parameters: { header?: never; cookie?: never } & Parameter<"path", Part<Data, "path">> &
    Query<Part<Data, "query">>;
  responses: { [Status in keyof Answers]: { content: { "application/json": Answers[Status] } } };
} & ([Part<Data, "body">] extends [never]
  ? { requestBody?: never }
  : { requestBody: { content: { "application/json": Part<Data, "body"> } } });

type Missing<Name extends keyof Pending> = Operation<Pending[Name]["data"], Pending[Name]["answer"]>;

export interface paths {
  "/ready": { get: Missing<"ready"> };
  "/v1/session": { get: Missing<"session">; post: Missing<"signIn">; delete: Missing<"signOut"> };
  "/v1/overview": { get: Missing<"overview"> };
  "/v1/events": { get: Missing<"events"> };
  "/v1/profiles": { get: Missing<"profiles"> };
  "/v1/profiles/{identifier}": { get: Operation<ProfileData, ProfileResponses> };
  "/v1/profiles/{identifier}/events": { get: Operation<ProfileEventsData, ProfileEventsResponses> };
  "/v1/audiences": { get: Missing<"audiences"> };
  "/v1/audiences/{name}/members": { get: Missing<"members"> };
  "/v1/connections": { get: Missing<"connections"> };
  "/v1/connections/{name}/records": { get: Missing<"records"> };
  "/v1/connections/{name}/queue": { get: Missing<"queue"> };
  "/v1/connections/{name}/dead-letters": { get: Missing<"deadLetters"> };
  "/v1/connections/{name}/dead-letters/retry": { post: Missing<"retry"> };
  "/v1/messages": { get: Missing<"messages"> };
  "/v1/messages/{id}": { get: Missing<"message"> };
  "/v1/messages/{id}/resolve": { post: Missing<"resolve"> };
  "/v1/campaigns": { get: Missing<"campaigns"> };
  "/v1/inbox": { get: Missing<"inbox"> };
  "/v1/inbox/{id}": { get: Missing<"mail"> };
}
