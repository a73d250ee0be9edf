// Ties generated types to openapi-fetch: one line an address, one small type for them all.
import type * as made from "./generated";

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

export interface paths {
  "/ready": { get: Operation<made.ReadyData, made.ReadyResponses> };
  "/v1/session": {
    get: Operation<made.SessionData, made.SessionResponses>;
    post: Operation<made.SignInData, made.SignInResponses>;
    delete: Operation<made.SignOutData, made.SignOutResponses>;
  };
  "/v1/overview": { get: Operation<made.OverviewData, made.OverviewResponses> };
  "/v1/events": { get: Operation<made.EventsData, made.EventsResponses> };
  "/v1/rejected-events": { get: Operation<made.RejectedEventsData, made.RejectedEventsResponses> };
  "/v1/rejected-events/counts": {
    get: Operation<made.RejectedCountsData, made.RejectedCountsResponses>;
  };
  "/v1/rejected-events/replay": {
    post: Operation<made.ReplayRejectedData, made.ReplayRejectedResponses>;
  };
  "/v1/sources": {
    get: Operation<made.SourcesData, made.SourcesResponses>;
    post: Operation<made.AddSourceData, made.AddSourceResponses>;
  };
  "/v1/sources/{name}/rotate": { post: Operation<made.RotateKeyData, made.RotateKeyResponses> };
  "/v1/sources/{name}/retire": { post: Operation<made.RetireKeysData, made.RetireKeysResponses> };
  "/v1/definitions": { get: Operation<made.DefinitionsData, made.DefinitionsResponses> };
  "/v1/definitions/folder": {
    get: Operation<made.DefinitionsFolderData, made.DefinitionsFolderResponses>;
  };
  "/v1/definitions/{kind}/{name}": {
    // As YAML, unless JSON is asked for: here it always is.
    get: Operation<made.DefinitionData, { 200: made.DefinitionDocumentView }>;
    put: Operation<made.PutDefinitionData, made.PutDefinitionResponses>;
    delete: Operation<made.RemoveDefinitionData, made.RemoveDefinitionResponses>;
  };
  "/v1/loads": { get: Operation<made.LoadsData, made.LoadsResponses> };
  "/v1/loads/{load}": {
    get: Operation<made.LoadData, made.LoadResponses>;
    delete: Operation<made.RemoveLoadData, made.RemoveLoadResponses>;
  };
  "/v1/loads/{load}/mapping": { put: Operation<made.MapLoadData, made.MapLoadResponses> };
  "/v1/loads/{load}/try": { post: Operation<made.TryLoadData, made.TryLoadResponses> };
  "/v1/loads/{load}/start": { post: Operation<made.StartLoadData, made.StartLoadResponses> };
  "/v1/loads/{load}/stop": { post: Operation<made.StopLoadData, made.StopLoadResponses> };
  "/v1/profiles": { get: Operation<made.ProfilesData, made.ProfilesResponses> };
  "/v1/profiles/{identifier}": { get: Operation<made.ProfileData, made.ProfileResponses> };
  "/v1/profiles/{identifier}/compare": {
    get: Operation<made.CompareProfileData, made.CompareProfileResponses>;
  };
  "/v1/profiles/{identifier}/restore": {
    post: Operation<made.RestoreProfileData, made.RestoreProfileResponses>;
  };
  "/v1/profiles/{identifier}/events": {
    get: Operation<made.ProfileEventsData, made.ProfileEventsResponses>;
  };
  "/v1/identity/unmerge": { post: Operation<made.UnmergeData, made.UnmergeResponses> };
  "/v1/identity/requests/{id}": {
    get: Operation<made.IdentityRequestData, made.IdentityRequestResponses>;
  };
  "/v1/identity/set-aside": {
    get: Operation<made.SetAsideIdentifiersData, made.SetAsideIdentifiersResponses>;
  };
  "/v1/proposals": { get: Operation<made.ProposalsData, made.ProposalsResponses> };
  "/v1/proposals/counts": {
    get: Operation<made.ProposalCountsData, made.ProposalCountsResponses>;
  };
  "/v1/proposals/{id}/accept": {
    post: Operation<made.AcceptProposalData, made.AcceptProposalResponses>;
  };
  "/v1/proposals/{id}/reject": {
    post: Operation<made.RejectProposalData, made.RejectProposalResponses>;
  };
  "/v1/audiences": { get: Operation<made.AudiencesData, made.AudiencesResponses> };
  "/v1/audiences/{name}/members": {
    get: Operation<made.AudienceMembersData, made.AudienceMembersResponses>;
  };
  "/v1/audiences/preview": {
    post: Operation<made.PreviewAudienceData, made.PreviewAudienceResponses>;
  };
  "/v1/profiles/{identifier}/audiences/{audience}/why": {
    get: Operation<made.WhyInAudienceData, made.WhyInAudienceResponses>;
  };
  "/v1/traits": { get: Operation<made.TraitsData, made.TraitsResponses> };
  "/v1/traits/{name}": { get: Operation<made.TraitData, made.TraitResponses> };
  "/v1/groups": { get: Operation<made.GroupsData, made.GroupsResponses> };
  "/v1/groups/{id}": { get: Operation<made.GroupData, made.GroupResponses> };
  "/v1/groups/{id}/members": { get: Operation<made.GroupMembersData, made.GroupMembersResponses> };
  "/v1/connections": { get: Operation<made.ConnectionsData, made.ConnectionsResponses> };
  "/v1/connections/{name}/records": {
    get: Operation<made.ConnectionRecordsData, made.ConnectionRecordsResponses>;
  };
  "/v1/connections/{name}/queue": {
    get: Operation<made.ConnectionQueueData, made.ConnectionQueueResponses>;
  };
  "/v1/connections/{name}/dead-letters": {
    get: Operation<made.ConnectionDeadLettersData, made.ConnectionDeadLettersResponses>;
  };
  "/v1/connections/{name}/dead-letters/retry": {
    post: Operation<made.RetryDeadLettersData, made.RetryDeadLettersResponses>;
  };
  "/v1/messages": { get: Operation<made.MessagesData, made.MessagesResponses> };
  "/v1/messages/{id}": { get: Operation<made.MessageData, made.MessageResponses> };
  "/v1/messages/{id}/resolve": {
    post: Operation<made.ResolveMessageData, made.ResolveMessageResponses>;
  };
  "/v1/campaigns": { get: Operation<made.CampaignsData, made.CampaignsResponses> };
  "/v1/inbox": { get: Operation<made.InboxData, made.InboxResponses> };
  "/v1/inbox/{id}": { get: Operation<made.InboxMailData, made.InboxMailResponses> };
}
