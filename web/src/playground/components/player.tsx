// The player: shows the session's picture, its status, and messages in place of the picture.

import type { JSX, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { onNextFrame, playWithSound, standsStill, watchPlaying } from "@client/viewer/playback.js";
import { fetchPictureShape, type PictureShape, RoomPicture } from "@client/viewer/room-picture.js";
import { renewPictures } from "../actions/avatars";
import { copyText } from "../actions/clipboard";
import { notify } from "../actions/notice";
import { frameShown } from "../actions/session";
import { allowSound, streamPlays, toggleMuted } from "../actions/speech";
import {
  agentState,
  audible,
  avatarsState,
  channelConnected,
  characters,
  chosenId,
  microphone,
  mustSignIn,
  muted,
  phase,
  room,
  serverProblem,
  session,
  signedIn,
  speaking,
  stream,
  voiceLevel,
} from "../state/signals";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";
import type { Texts } from "../../texts/language";
import { PlayerMessage } from "./player-message";

export function Player(): JSX.Element {
  const frame = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [paused, lookIfPaused] = usePaused(video);
  const hasFrame = useStream(video, lookIfPaused);
  const transparent = useTransparency(video, canvas);

  // Before the session is live its channel may still change the picture's size. A lost connection leaves the picture
  // black. The avatar's portrait is shown instead.
  const live = phase.value === "live";
  const shown = live && hasFrame && room.value?.kind !== "reconnecting";
  const portrait = characters.value.find((avatar) => avatar.avatar_id === chosenId.value)?.preview_img_url ?? null;
  return (
    <div class="player" ref={frame} data-phase={phase.value} data-shown={shown} data-transparent={transparent}>
      {portrait !== null && !shown && signedIn.value && (
        <img class="portrait" src={portrait} alt="" onError={renewPictures} />
      )}
      <video ref={video} playsInline autoPlay aria-label={texts.value.playground.player.avatar} />
      <canvas ref={canvas} aria-hidden="true" />
      <StatusChip />
      {live && <Tools frame={frame} />}
      <PlayerMessage />
      {live && (paused || !audible.value) && (
        <button
          class="solid pill turn-sound-on"
          type="button"
          onClick={() => {
            if (video.current !== null && !audible.value) video.current.muted = false;
            void video.current?.play();
            if (!audible.value) allowSound();
          }}
        >
          <Icon name={paused ? "play" : "muted"} />
          {paused ? texts.value.playground.player.play : texts.value.playground.player.turnSoundOn}
        </button>
      )}
    </div>
  );
}

/** Play the session's stream in the video element, then call `played`. Return whether its first frame is shown. */
function useStream(video: RefObject<HTMLVideoElement | null>, played: () => void): boolean {
  const [hasFrame, setHasFrame] = useState(false);
  useEffect(() => {
    const element = video.current;
    const current = stream.value;
    if (element === null) return;
    element.srcObject = current;
    setHasFrame(false);
    if (current === null) return;
    onNextFrame(element, () => {
      if (element.srcObject !== current) return;
      setHasFrame(true);
      frameShown();
    });
    void playWithSound(element).then((withSound) => {
      if (element.srcObject !== current) return;
      streamPlays(withSound);
      played(); // a browser that refuses to play sends no event
      if (withSound) element.muted = muted.value;
    });
  }, [stream.value]);
  useEffect(() => {
    if (video.current !== null && audible.value) video.current.muted = muted.value;
  }, [muted.value, audible.value]);
  return hasFrame;
}

/** Return whether the browser or the system has paused the picture, and what looks again. */
function usePaused(video: RefObject<HTMLVideoElement | null>): [boolean, () => void] {
  const [paused, setPaused] = useState(false);
  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    const over = new AbortController();
    watchPlaying(element, look, over.signal);
    return () => over.abort();
  }, []);
  function look(): void {
    if (video.current !== null) setPaused(standsStill(video.current));
  }
  return [paused, look];
}

/** Compose a transparent picture into the canvas. Return whether the canvas shows the picture. */
function useTransparency(
  video: RefObject<HTMLVideoElement | null>,
  canvas: RefObject<HTMLCanvasElement | null>,
): boolean {
  const [transparent, setTransparent] = useState(false);
  useEffect(() => {
    if (video.current === null || canvas.current === null) return;
    const ask = async (): Promise<PictureShape | null> => {
      const address = session.value?.daily_room;
      if (address === undefined) return null;
      return fetchPictureShape(new URL(address.url).pathname.replace(/\/+$/, ""), address.token);
    };
    const picture = new RoomPicture(video.current, canvas.current, ask, setTransparent);
    return () => picture.stop();
  }, []);
  return transparent;
}

interface Status {
  word: keyof Texts["playground"]["status"];
  tone: "live" | "busy" | "off" | "bad";
}

function status(): Status {
  if (mustSignIn.value) return { word: "signedOut", tone: "off" };
  if (serverProblem.value !== null) return { word: "unavailable", tone: "bad" };
  switch (phase.value) {
    case "idle":
      return { word: avatarsState.value === "preparing" ? "preparing" : "ready", tone: "off" };
    case "starting":
      return { word: "starting", tone: "busy" };
    case "connecting":
      return { word: "connecting", tone: "busy" };
    case "ended":
      return { word: "ended", tone: "off" };
    case "failed":
      return { word: "failed", tone: "bad" };
    case "live":
      return liveStatus();
  }
}

function liveStatus(): Status {
  if (!channelConnected.value || room.value?.kind === "reconnecting") return { word: "reconnecting", tone: "busy" };
  if (speaking.value) return { word: "speaking", tone: "live" };
  const talking = microphone.value === "hold" || microphone.value === "open";
  if (talking || agentState.value === "listening") return { word: "listening", tone: "live" };
  if (agentState.value === "thinking") return { word: "thinking", tone: "live" };
  return { word: "idle", tone: "live" };
}

function StatusChip(): JSX.Element {
  const { word, tone } = status();
  return (
    <div class="chip" data-tone={tone}>
      {speaking.value ? <VoiceLevel /> : <i class="dot" aria-hidden="true" />}
      <span role="status">{texts.value.playground.status[word]}</span>
    </div>
  );
}

const BARS = [0.55, 1, 0.7]; // heights, as fractions of the level

/** Three bars that follow the sound of the room. */
function VoiceLevel(): JSX.Element {
  const level = Math.min(1, Math.sqrt(voiceLevel.value) * 2);
  return (
    <span class="voice" aria-hidden="true">
      {BARS.map((height) => (
        <i style={{ transform: `scaleY(${(0.22 + 0.78 * level * height).toFixed(2)})` }} />
      ))}
    </span>
  );
}

function Tools({ frame }: { frame: RefObject<HTMLDivElement | null> }): JSX.Element {
  const t = texts.value.playground.player;
  const copyLink = async (): Promise<void> => {
    const address = session.value?.daily_room;
    if (address === undefined) return;
    if (await copyText(`${address.url}#t=${address.token}`)) {
      notify(t.linkCopied, false);
    }
  };
  const toggleFullScreen = (): void => {
    if (document.fullscreenElement === null) void frame.current?.requestFullscreen?.();
    else void document.exitFullscreen();
  };
  return (
    <div class="tools">
      <button type="button" aria-label={t.copyLink} title={t.copyLink} onClick={() => void copyLink()}>
        <Icon name="link" />
      </button>
      {audible.value && (
        <button
          type="button"
          aria-pressed={muted.value}
          aria-label={t.mute}
          title={`${muted.value ? t.unmute : t.mute} (M)`}
          onClick={toggleMuted}
        >
          <Icon name={muted.value ? "muted" : "sound"} />
        </button>
      )}
      <button type="button" aria-label={t.fullScreen} title={t.fullScreen} onClick={toggleFullScreen}>
        <Icon name="full" />
      </button>
    </div>
  );
}
