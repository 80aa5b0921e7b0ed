// What this page has just done, as code to start from. The key stays a variable.

export interface SnippetFacts {
  output: object | undefined; // what the session is to look like, where that is not as ever
  picture: { width: number; height: number };
  origin: string;
  lookId: string;
  sessionId: string;
  channelAddress: string;
}

/** The body of the create request; a picture is left to be filled in. */
function bodyOf({ lookId, output }: SnippetFacts): string {
  return JSON.stringify({ avatar_id: lookId, output }, (name, value: unknown) => (name === "image" ? "https://…" : value)).replace(/":/g, '": ').replace(/,"/g, ', "');
}

export function curlOf(facts: SnippetFacts): string {
  const { origin, sessionId, channelAddress } = facts;
  return `# a session needs a look: GET /v1/avatars/public, then ?parent_id=
curl -s -X POST ${origin}/v1/sessions \\
  -H "x-api-key: $VISAVIS_KEY" \\
  -H 'content-type: application/json' \\
  -d '${bodyOf(facts)}'

# answers ws_uri, the channel:
# ${channelAddress}
curl -s -X POST ${origin}/v1/sessions/${sessionId}/start \\
  -H "x-api-key: $VISAVIS_KEY"

# when you are done
curl -s -X POST ${origin}/v1/sessions/${sessionId}/end \\
  -H "x-api-key: $VISAVIS_KEY"
`;
}

export function javascriptOf(facts: SnippetFacts): string {
  const { origin, picture } = facts;
  return `const server = "${origin}";
const call = async (path, body) =>
  (await fetch(server + path, {
    method: "POST",
    headers: { "x-api-key": process.env.VISAVIS_KEY, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  })).json();

const { session } = await call("/v1/sessions", ${bodyOf(facts)});
const { ws_uri } = await call(\`/v1/sessions/\${session.session_id}/start\`);

const channel = new WebSocket(ws_uri);
channel.onopen = () => channel.send(JSON.stringify({
  type: "session.init",
  config: {
    session_id: session.session_id,
    access_token: session.access_token,
    room: { platform: "daily", url: session.daily_room.url, token: session.daily_room.token },
    video_width: ${picture.width}, video_height: ${picture.height},
  },
}));
channel.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type !== "connection.established") return;
  // pcm: an Int16Array of mono speech at 16 kHz
  const audio = Buffer.from(pcm.buffer).toString("base64");
  channel.send(JSON.stringify({ type: "agent.speak", audio, sample_rate: 16000 }));
};

// whoever opens this sees and hears it
console.log(\`\${session.daily_room.url}#t=\${session.daily_room.token}\`);
`;
}
