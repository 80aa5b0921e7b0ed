// What this page has just done, as code to start from. The key stays a variable.

export interface SnippetFacts {
  origin: string;
  lookId: string;
  sessionId: string;
  channelAddress: string;
}

export function curlOf({ origin, lookId, sessionId, channelAddress }: SnippetFacts): string {
  return `# a session needs a look: GET /v1/avatars/public, then ?parent_id=
curl -s -X POST ${origin}/v1/sessions \\
  -H "x-api-key: $VISAVIS_KEY" \\
  -H 'content-type: application/json' \\
  -d '{"avatar_id": "${lookId}"}'

# answers ws_uri, the channel:
# ${channelAddress}
curl -s -X POST ${origin}/v1/sessions/${sessionId}/start \\
  -H "x-api-key: $VISAVIS_KEY"

# when you are done
curl -s -X POST ${origin}/v1/sessions/${sessionId}/end \\
  -H "x-api-key: $VISAVIS_KEY"
`;
}

export function javascriptOf({ origin, lookId }: SnippetFacts): string {
  return `const server = "${origin}";
const call = async (path, body) =>
  (await fetch(server + path, {
    method: "POST",
    headers: { "x-api-key": process.env.VISAVIS_KEY, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  })).json();

const { session } = await call("/v1/sessions", { avatar_id: "${lookId}" });
const { ws_uri } = await call(\`/v1/sessions/\${session.session_id}/start\`);

const channel = new WebSocket(ws_uri);
channel.onopen = () => channel.send(JSON.stringify({
  type: "session.init",
  config: {
    session_id: session.session_id,
    access_token: session.access_token,
    room: { platform: "daily", url: session.daily_room.url, token: session.daily_room.token },
    video_width: 960, video_height: 720,
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
