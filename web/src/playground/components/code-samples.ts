// Code samples with the values of this page's session. The API key stays a variable. Pure.

import type { Output, PictureSize } from "../wire/types";

interface SampleFacts {
  output: Partial<Output> | undefined; // what differs from the default output
  size: PictureSize;
  server: string; // its address, without a slash at the end
  lookId: string;
  sessionId: string;
  channelAddress: string;
}

/** The body of the create request. A background image is replaced by an example address. */
function createBody({ lookId, output }: SampleFacts): string {
  const replaceImage = (name: string, value: unknown): unknown => (name === "image" ? "https://…" : value);
  const json = JSON.stringify({ avatar_id: lookId, output }, replaceImage);
  return json.replace(/":/g, '": ').replace(/,"/g, ', "');
}

export function curlSample(facts: SampleFacts): string {
  const { server, sessionId, channelAddress } = facts;
  return `# Create a session. It needs a look: see
# GET /v1/avatars/public, then GET /v1/avatars?parent_id=…
curl -s -X POST ${server}/v1/sessions \\
  -H "x-api-key: $VISAVIS_KEY" \\
  -H 'content-type: application/json' \\
  -d '${createBody(facts)}'

# Start it. The answer's ws_uri is the address of the channel:
# ${channelAddress}
curl -s -X POST ${server}/v1/sessions/${sessionId}/start \\
  -H "x-api-key: $VISAVIS_KEY"

# End it.
curl -s -X POST ${server}/v1/sessions/${sessionId}/end \\
  -H "x-api-key: $VISAVIS_KEY"
`;
}

export function javascriptSample(facts: SampleFacts): string {
  const { server, size } = facts;
  return `const server = "${server}";
const call = async (path, body) =>
  (await fetch(server + path, {
    method: "POST",
    headers: { "x-api-key": process.env.VISAVIS_KEY, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  })).json();

const { session } = await call("/v1/sessions", ${createBody(facts)});
const { ws_uri } = await call(\`/v1/sessions/\${session.session_id}/start\`);

const channel = new WebSocket(ws_uri);
channel.onopen = () => channel.send(JSON.stringify({
  type: "session.init",
  config: {
    session_id: session.session_id,
    access_token: session.access_token,
    room: { platform: "daily", url: session.daily_room.url, token: session.daily_room.token },
    video_width: ${size.width}, video_height: ${size.height},
  },
}));
channel.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type !== "connection.established") return;
  // pcm: an Int16Array of mono speech at 16 kHz
  const audio = Buffer.from(pcm.buffer).toString("base64");
  channel.send(JSON.stringify({ type: "agent.speak", audio, sample_rate: 16000 }));
};

// Open this address in a browser to see and hear the avatar.
console.log(\`\${session.daily_room.url}#t=\${session.daily_room.token}\`);
`;
}
