// The picture, and over it whatever must be said when there is none.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { onNextFrame, playWithSound } from "../../shared/play";
import { pictureShape, RoomPicture } from "../../shared/room-picture";
import { frameShown, restart } from "../live-session";
import { attitude } from "../scene";
import { playing, soundAllowed } from "../speaking";
import {
  audible,
  avatarsState,
  channelBroken,
  characters,
  chosenId,
  endedBecause,
  keyState,
  microphone,
  muted,
  phase,
  problem,
  room,
  say,
  serverProblem,
  session,
  speaking,
  stream,
  voiceLevel,
} from "../state";
import type { Problem } from "../problems";
import { Icon } from "./icons";
import { KeyForm } from "./key-form";

export function Stage(): JSX.Element {
  const frame = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const composed = useRef<HTMLCanvasElement>(null);
  const [shown, setShown] = useState(false);
  const [transparent, setTransparent] = useState(false);

  useEffect(() => {
    if (video.current === null || composed.current === null) return;
    const ask = async (): Promise<Awaited<ReturnType<typeof pictureShape>>> => {
      const where = session.value?.daily_room;
      return where === undefined ? null : pictureShape(new URL(where.url).pathname.replace(/\/+$/, ""), where.token);
    };
    const picture = new RoomPicture(video.current, composed.current, ask, setTransparent);
    return () => picture.stop();
  }, []);

  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    element.srcObject = stream.value;
    setShown(false);
    if (stream.value === null) return;
    const current = stream.value;
    onNextFrame(element, () => {
      if (element.srcObject !== current) return;
      setShown(true);
      frameShown();
    });
    void playWithSound(element).then((heard) => {
      if (element.srcObject !== current) return;
      playing(heard);
      if (heard) element.muted = muted.value;
    });
  }, [stream.value]);

  useEffect(() => {
    if (video.current !== null && audible.value) video.current.muted = muted.value;
  }, [muted.value, audible.value]);

  // A lost connection leaves a black picture; the avatar's portrait stands in until it is back.
  const lost = room.value?.kind === "reconnecting";
  const live = phase.value === "live"; // before it the channel may still change the picture's size, which is no sight
  const poster = characters.value.find((avatar) => avatar.avatar_id === chosenId.value)?.preview_img_url;
  return (
    <div class="stage-room">
      <div class="stage" ref={frame} data-phase={phase.value} data-shown={shown && !lost && live} data-transparent={transparent}>
        {poster !== null && poster !== undefined && (!shown || lost || !live) && keyState.value === "good" && <img class="poster" src={poster} alt="" />}
        <video ref={video} playsInline autoPlay aria-label="The avatar, live" />
        <canvas ref={composed} aria-hidden="true" />
        <StatusChip />
        {live && <Tools frame={frame} />}
        <Overlay />
        {live && !audible.value && (
          <button
            class="solid pill tap-for-sound"
            type="button"
            onClick={() => {
              if (video.current !== null) video.current.muted = false;
              void video.current?.play();
              soundAllowed();
            }}
          >
            <Icon name="muted" />
            Tap for sound
          </button>
        )}
      </div>
    </div>
  );
}

function status(): { word: string; tone: "live" | "busy" | "off" | "bad" } {
  if (keyState.value === "missing" || keyState.value === "wrong") return { word: "No key", tone: "off" };
  if (serverProblem.value !== null) return { word: "Unreachable", tone: "bad" };
  switch (phase.value) {
    case "idle":
      return { word: avatarsState.value === "preparing" ? "Preparing" : "Ready", tone: "off" };
    case "starting":
      return { word: "Starting", tone: "busy" };
    case "connecting":
      return { word: "Connecting", tone: "busy" };
    case "ended":
      return { word: "Ended", tone: "off" };
    case "failed":
      return { word: "Not started", tone: "bad" };
    case "live":
      if (channelBroken.value || room.value?.kind === "reconnecting") return { word: "Reconnecting", tone: "busy" };
      if (speaking.value) return { word: "Speaking", tone: "live" };
      if (microphone.value === "hold" || microphone.value === "open" || attitude.value === "listening") return { word: "Listening", tone: "live" };
      if (attitude.value === "thinking") return { word: "Thinking", tone: "live" };
      return { word: "Idle", tone: "live" };
  }
}

function StatusChip(): JSX.Element {
  const { word, tone } = status();
  return (
    <div class="chip" data-tone={tone}>
      {speaking.value ? <Voice /> : <i class="dot" aria-hidden="true" />}
      <span role="status">{word}</span>
    </div>
  );
}

const BARS = [0.55, 1, 0.7];

/** Three bars that follow what is heard in the room. */
function Voice(): JSX.Element {
  const level = Math.min(1, Math.sqrt(voiceLevel.value) * 2);
  return (
    <span class="voice" aria-hidden="true">
      {BARS.map((part) => (
        <i style={{ transform: `scaleY(${(0.22 + 0.78 * level * part).toFixed(2)})` }} />
      ))}
    </span>
  );
}

function Tools({ frame }: { frame: { current: HTMLDivElement | null } }): JSX.Element {
  const copyLink = async (): Promise<void> => {
    const where = session.value?.daily_room;
    if (where === undefined) return;
    try {
      await navigator.clipboard.writeText(`${where.url}#t=${where.token}`);
      say("Link copied. Whoever has it can watch this room.", false);
    } catch {
      say("The browser did not let this page copy.", true);
    }
  };
  const fill = (): void => void (document.fullscreenElement === null ? frame.current?.requestFullscreen?.() : document.exitFullscreen());
  return (
    <div class="tools">
      <button type="button" aria-label="Copy a link that shows this room" title="Copy a link that shows this room" onClick={() => void copyLink()}>
        <Icon name="link" />
      </button>
      {audible.value && (
        <button type="button" aria-pressed={muted.value} aria-label="Mute" title="Mute (M)" onClick={() => (muted.value = !muted.value)}>
          <Icon name={muted.value ? "muted" : "sound"} />
        </button>
      )}
      <button type="button" aria-label="Full screen" title="Full screen" onClick={fill}>
        <Icon name="full" />
      </button>
    </div>
  );
}

function Overlay(): JSX.Element | null {
  if (keyState.value === "missing" || keyState.value === "wrong") return <KeyForm wrong={keyState.value === "wrong"} />;
  if (serverProblem.value !== null) return <Message problem={serverProblem.value} footnote="Trying again…" />;
  switch (phase.value) {
    case "idle":
      if (avatarsState.value === "preparing") {
        return <Message problem={{ title: "The first avatar is being prepared", detail: "A new server studies its own portrait first. This takes a few seconds." }} busy />;
      }
      return avatarsState.value === "loading" ? <Message problem={{ title: "One moment", detail: "" }} busy /> : null;
    case "starting":
    case "connecting":
      return <div class="sweep" aria-hidden="true" />;
    case "ended":
      return (
        <Message problem={{ title: "The session has ended", detail: endedBecause.value }}>
          <button class="solid" type="button" onClick={restart}>
            Start again
          </button>
        </Message>
      );
    case "failed":
      return problem.value === null ? null : <Failure problem={problem.value} />;
    case "live":
      return room.value?.kind === "reconnecting" ? <Message problem={{ title: "Reconnecting", detail: "The connection to the room was interrupted." }} busy /> : null;
  }
}

interface MessageProps {
  problem: Pick<Problem, "title" | "detail">;
  footnote?: string;
  busy?: boolean;
  children?: JSX.Element;
}

function Message({ problem: { title, detail }, footnote, busy = false, children }: MessageProps): JSX.Element {
  return (
    <div class="overlay">
      <div class="message" role="alert">
        {busy && <span class="breath" aria-hidden="true" />}
        <h2>{title}</h2>
        {detail !== "" && <p>{detail}</p>}
        {children}
        {footnote !== undefined && <p class="footnote">{footnote}</p>}
      </div>
    </div>
  );
}

/** A session that could not be opened: tried again by hand, or by itself where waiting may help. */
function Failure({ problem: current }: { problem: Problem }): JSX.Element {
  const [leftS, setLeftS] = useState(current.retryAfterS);
  useEffect(() => {
    let left = current.retryAfterS;
    setLeftS(left);
    if (left === null) return;
    const timer = setInterval(() => {
      left = (left ?? 1) - 1;
      setLeftS(left);
      if (left <= 0) {
        clearInterval(timer);
        restart();
      }
    }, 1_000);
    return () => clearInterval(timer);
  }, [current]);
  return (
    <Message problem={current}>
      <>
        <button class="solid" type="button" onClick={restart}>
          Try again
        </button>
        {leftS !== null && <p class="footnote" aria-hidden="true">{`By itself in ${Math.max(0, Math.ceil(leftS))} s`}</p>}
      </>
    </Message>
  );
}
