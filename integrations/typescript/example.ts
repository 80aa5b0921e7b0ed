// One session over HTTP and its channel, with the types of this folder. `tsc --strict` checks this file in CI.
import type { components as channel } from "./channel.js";
import type { paths } from "./http.js";

type Create = paths["/v1/sessions"]["post"];
type CreateBody = Extract<NonNullable<Create["requestBody"]>["content"]["application/json"], { avatar_id: string }>;
type Created = Create["responses"][201]["content"]["application/json"];
type Started = paths["/v1/sessions/{session_id}/start"]["post"]["responses"][200]["content"]["application/json"];
type Shown = paths["/v1/sessions/{session_id}"]["get"]["responses"][200]["content"]["application/json"];

type ServerMessage =
  | channel["schemas"]["ConnectionEstablished"]
  | channel["schemas"]["SpeakConfirmed"]
  | channel["schemas"]["PlaybackFinishedMessage"]
  | channel["schemas"]["ErrorMessage"];

async function call<Answer>(base: string, key: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await fetch(base + path, {
    method: body === undefined ? "GET" : "POST",
    headers: { "x-api-key": key, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()) as Answer;
}

export async function speak(base: string, key: string, look: string, audio: string): Promise<Shown> {
  const body: CreateBody = { avatar_id: look, metadata: { purpose: "example" } };
  const { session } = await call<Created>(base, key, "/v1/sessions", body);
  if (!("access_token" in session)) throw new Error("not of the hosted-room dialect");
  let started: Started;
  do {
    started = await call<Started>(base, key, `/v1/sessions/${session.session_id}/start`, {});
  } while (started.ws_uri === "try_again");
  const socket = new WebSocket(started.ws_uri);
  const init: channel["schemas"]["HostedInit"] = {
    type: "session.init",
    features: ["playback"],
    config: {
      session_id: session.session_id,
      access_token: session.access_token,
      room: { platform: "daily", url: session.daily_room.url, token: session.daily_room.token },
      video_width: 1280,
      video_height: 720,
    },
  };
  const speech: channel["schemas"]["AgentSpeak"] = {
    type: "agent.speak",
    audio,
    sample_rate: 16000,
    utterance_id: "greeting",
    final: true,
  };
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => socket.send(JSON.stringify(init));
    socket.onmessage = (event: MessageEvent<string>) => {
      const message = JSON.parse(event.data) as ServerMessage;
      if (message.type === "connection.established") socket.send(JSON.stringify(speech));
      if (message.type === "agent.playback.finished") resolve();
      if (message.type === "error") reject(new Error(`${message.code}: ${message.error}`));
    };
  });
  return call<Shown>(base, key, `/v1/sessions/${session.session_id}`);
}
