// The types of events that webhooks get.

import type { paths } from "../../../../integrations/typescript/http";

type NewWebhook = paths["/v1/webhooks"]["post"]["requestBody"]["content"]["application/json"];
type EventType = NonNullable<NewWebhook["events"]>[number];

// A record, so that the type check fails where the server has other types.
const ALL: Record<EventType, true> = {
  "session.created": true,
  "session.started": true,
  "session.first_frame": true,
  "session.participant_joined": true,
  "session.participant_left": true,
  "session.utterance_finished": true,
  "session.expiring": true,
  "session.ended": true,
  "avatar.ready": true,
  "avatar.failed": true,
};

export const EVENTS = Object.keys(ALL) as EventType[];
