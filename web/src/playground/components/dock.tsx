// What the visitor can do: speak in three ways, interrupt, start and end.

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { endSession, restart } from "../live-session";
import { closeMicrophone, interrupt, openMicrophone, speakFile, speakSample } from "../speaking";
import { canSpeak, characters, keyState, microphone, microphoneLevel, notice, phase } from "../state";
import { Icon } from "./icons";

export function Dock(): JSX.Element {
  const picker = useRef<HTMLInputElement>(null);
  const off = !canSpeak.value;
  const open = phase.value === "live" || phase.value === "connecting" || phase.value === "starting";
  return (
    <section class="dock" aria-label="Speak">
      <div class="controls">
        <HoldToTalk disabled={off || microphone.value === "open"} />
        <button
          class="control"
          type="button"
          disabled={off || microphone.value === "hold"}
          aria-pressed={microphone.value === "open"}
          onClick={() => (microphone.value === "open" ? closeMicrophone() : void openMicrophone("open"))}
        >
          <Icon name="hands" />
          <span>Hands-free</span>
        </button>
        <button class="control" type="button" disabled={off} title="Speak a recorded sample" onClick={speakSample}>
          <Icon name="sample" />
          <span>Sample</span>
        </button>
        <button class="control" type="button" disabled={off} title="Speak an audio file" onClick={() => picker.current?.click()}>
          <Icon name="file" />
          <span>File</span>
        </button>
        <input
          ref={picker}
          class="visually-hidden"
          type="file"
          accept="audio/*,.wav,.mp3,.m4a,.ogg,.flac"
          tabIndex={-1}
          aria-label="Audio file to speak"
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            event.currentTarget.value = "";
            if (file !== undefined) void speakFile(file);
          }}
        />
        <span class="spring" />
        <button class="control" type="button" disabled={off} onClick={interrupt} aria-keyshortcuts="Escape">
          <Icon name="interrupt" />
          <span>Interrupt</span>
          <kbd>Esc</kbd>
        </button>
        {open ? (
          <button class="control" type="button" onClick={endSession}>
            <Icon name="end" />
            <span>End</span>
          </button>
        ) : (
          <button class="control strong" type="button" disabled={keyState.value !== "good" || characters.value.length === 0} onClick={restart}>
            <Icon name="sample" />
            <span>Start</span>
          </button>
        )}
      </div>
      <p class="notice" role="status" data-failed={notice.value?.failed ?? false}>
        {notice.value?.text ?? ""}
      </p>
    </section>
  );
}

function HoldToTalk({ disabled }: { disabled: boolean }): JSX.Element {
  const held = microphone.value === "hold";
  const level = held ? Math.min(1, Math.sqrt(microphoneLevel.value) * 2.2) : 0;
  const hold = (): void => void openMicrophone("hold");
  return (
    <button
      class="control talk"
      type="button"
      disabled={disabled}
      aria-pressed={held}
      aria-keyshortcuts="Space"
      aria-label="Hold to talk"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        hold();
      }}
      onPointerUp={() => closeMicrophone()}
      onPointerCancel={() => closeMicrophone()}
      onContextMenu={(event) => event.preventDefault()}
      onKeyDown={(event) => {
        if ((event.key === " " || event.key === "Enter") && !event.repeat) {
          event.preventDefault();
          hold();
        }
      }}
      onKeyUp={(event) => (event.key === " " || event.key === "Enter") && closeMicrophone()}
      onBlur={() => held && closeMicrophone()}
    >
      <span class="talk-level" style={{ transform: `scaleX(${level.toFixed(2)})` }} aria-hidden="true" />
      <Icon name="microphone" />
      <span>{held ? "Talking…" : microphone.value === "opening" ? "Opening…" : "Hold to talk"}</span>
      <kbd>Space</kbd>
    </button>
  );
}
