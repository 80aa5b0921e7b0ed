// A page of LiveKit's React components that shows the agent of a room: its two tracks are those of its avatar.
import React, { useEffect, useMemo } from "react";
import { createRoot } from "react-dom/client";
import { RoomAudioRenderer, SessionProvider, useAgent, useSession, VideoTrack } from "@livekit/components-react";
import { TokenSource } from "livekit-client";

function Agent({ session }) {
  const agent = useAgent(session);
  const { cameraTrack } = agent;
  window.agent = agent;
  return cameraTrack === null || cameraTrack === undefined ? null : <VideoTrack trackRef={cameraTrack} />;
}

function App({ serverUrl, participantToken }) {
  const source = useMemo(() => TokenSource.literal({ serverUrl, participantToken }), [serverUrl, participantToken]);
  const session = useSession(source);
  useEffect(() => {
    window.room = session.room;
    session.start({ tracks: { microphone: { enabled: false } } });
  }, []);
  return (
    <SessionProvider session={session}>
      <Agent session={session} />
      <RoomAudioRenderer />
    </SessionProvider>
  );
}

window.show = (serverUrl, participantToken) =>
  createRoot(document.body.appendChild(document.createElement("main"))).render(
    <App serverUrl={serverUrl} participantToken={participantToken} />,
  );
