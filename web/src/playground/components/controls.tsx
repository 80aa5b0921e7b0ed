// The controls below the picture: speak in three ways, interrupt, start and end the session.

import type { JSX } from "preact";
import { closeMicrophone, openMicrophone } from "../actions/microphone";
import { endSession, restart } from "../actions/session";
import { interrupt, speakFile, speakSample } from "../actions/speech";
import { canSpeak, characters, signedIn, microphone, microphoneLevel, notice, phase } from "../state/signals";
import { FilePicker, useFilePicker } from "./file-picker";
import { Icon } from "./icons";

export function Controls(): JSX.Element {
  const picker = useFilePicker();
  const disabled = !canSpeak.value;
  const handsFree = microphone.value === "open";
  return (
    <section aria-label="Controls">
      <div class="controls">
        <HoldToTalk disabled={disabled || handsFree} />
        <button
          class="control"
          type="button"
          title="Keep the microphone open and send what you say"
          disabled={disabled || microphone.value === "hold"}
          aria-pressed={handsFree}
          onClick={() => (handsFree ? closeMicrophone() : void openMicrophone("open"))}
        >
          <Icon name="hands" />
          <span>Hands-free</span>
        </button>
        <button class="control" type="button" disabled={disabled} title="Speak a recorded sample" onClick={speakSample}>
          <Icon name="sample" />
          <span>Sample</span>
        </button>
        <button class="control" type="button" disabled={disabled} title="Speak an audio file" onClick={picker.open}>
          <Icon name="file" />
          <span>File</span>
        </button>
        <FilePicker
          picker={picker}
          label="Audio file to speak"
          accept="audio/*,.wav,.mp3,.m4a,.ogg,.flac"
          chosen={(file) => void speakFile(file)}
        />
        <span class="spring" />
        <button
          class="control"
          type="button"
          disabled={disabled}
          title="Stop the speech at once"
          onClick={interrupt}
          aria-keyshortcuts="Escape"
        >
          <Icon name="interrupt" />
          <span>Interrupt</span>
          <kbd>Esc</kbd>
        </button>
        <StartOrEnd />
      </div>
      <p class="notice" role="status" data-failed={notice.value?.failed ?? false}>
        {notice.value?.text ?? ""}
      </p>
    </section>
  );
}

function StartOrEnd(): JSX.Element {
  if (phase.value === "live" || phase.value === "connecting" || phase.value === "starting") {
    return (
      <button class="control" type="button" title="End the session" onClick={endSession}>
        <Icon name="end" />
        <span>End</span>
      </button>
    );
  }
  const disabled = !signedIn.value || characters.value.length === 0;
  return (
    <button class="control strong" type="button" title="Start a session" disabled={disabled} onClick={restart}>
      <Icon name="sample" />
      <span>Start</span>
    </button>
  );
}

function HoldToTalk({ disabled }: { disabled: boolean }): JSX.Element {
  const held = microphone.value === "hold";
  const level = held ? Math.min(1, Math.sqrt(microphoneLevel.value) * 2.2) : 0;
  const label = held ? "Talking…" : microphone.value === "opening" ? "Opening…" : "Hold to talk";
  const isHoldKey = ({ key }: KeyboardEvent): boolean => key === " " || key === "Enter";
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
        void openMicrophone("hold");
      }}
      onPointerUp={closeMicrophone}
      onPointerCancel={closeMicrophone}
      onContextMenu={(event) => event.preventDefault()}
      onKeyDown={(event) => {
        if (!isHoldKey(event) || event.repeat) return;
        event.preventDefault();
        void openMicrophone("hold");
      }}
      onKeyUp={(event) => {
        if (isHoldKey(event)) closeMicrophone();
      }}
      onBlur={() => {
        if (held) closeMicrophone();
      }}
    >
      <span class="talk-level" style={{ transform: `scaleX(${level.toFixed(2)})` }} aria-hidden="true" />
      <Icon name="microphone" />
      <span>{label}</span>
      <kbd>Space</kbd>
    </button>
  );
}
