// The controls below the picture: speak in three ways, interrupt, start and end the session.

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { closeMicrophone, openMicrophone } from "../actions/microphone";
import { endSession, restart } from "../actions/session";
import { interrupt, sayText, speakFile, speakSample } from "../actions/speech";
import {
  canSpeak,
  characters,
  signedIn,
  microphone,
  microphoneLevel,
  notice,
  phase,
  speaksText,
} from "../state/signals";
import { FilePicker, useFilePicker } from "./file-picker";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";

export function Controls(): JSX.Element {
  const picker = useFilePicker();
  const t = texts.value.playground.controls;
  const disabled = !canSpeak.value;
  const handsFree = microphone.value === "open";
  return (
    <section aria-label={t.title}>
      <div class="controls">
        <HoldToTalk disabled={disabled || handsFree} />
        <button
          class="control"
          type="button"
          title={t.handsFreeHint}
          disabled={disabled || microphone.value === "hold"}
          aria-pressed={handsFree}
          onClick={() => (handsFree ? closeMicrophone() : void openMicrophone("open"))}
        >
          <Icon name="hands" />
          <span>{t.handsFree}</span>
        </button>
        <button class="control" type="button" disabled={disabled} title={t.sampleHint} onClick={speakSample}>
          <Icon name="sample" />
          <span>{t.sample}</span>
        </button>
        <button class="control" type="button" disabled={disabled} title={t.fileHint} onClick={picker.open}>
          <Icon name="file" />
          <span>{t.file}</span>
        </button>
        <FilePicker
          picker={picker}
          label={t.fileToSpeak}
          accept="audio/*,.wav,.mp3,.m4a,.ogg,.flac"
          chosen={(file) => void speakFile(file)}
        />
        <span class="spring" />
        <button
          class="control"
          type="button"
          disabled={disabled}
          title={t.interruptHint}
          onClick={interrupt}
          aria-keyshortcuts="Escape"
        >
          <Icon name="interrupt" />
          <span>{t.interrupt}</span>
          <kbd aria-hidden="true">{t.escape}</kbd>
        </button>
        <StartOrEnd />
      </div>
      {speaksText.value && <SayLine disabled={disabled} />}
      <p class="notice" role="status" data-failed={notice.value?.failed ?? false}>
        {notice.value?.text ?? ""}
      </p>
    </section>
  );
}

function SayLine({ disabled }: { disabled: boolean }): JSX.Element {
  const t = texts.value.playground.controls;
  const text = useSignal("");
  const say = (event: Event): void => {
    event.preventDefault();
    if (disabled || text.value.trim() === "") return;
    sayText(text.value.trim());
    text.value = "";
  };
  return (
    <form class="say" onSubmit={say}>
      <input
        class="say-text"
        type="text"
        aria-label={t.text}
        placeholder={t.textHint}
        maxLength={2000}
        autocomplete="off"
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
      <button class="control" type="submit" title={t.sayHint} disabled={disabled || text.value.trim() === ""}>
        <Icon name="say" />
        <span>{t.say}</span>
        <kbd aria-hidden="true">{t.enter}</kbd>
      </button>
    </form>
  );
}

function StartOrEnd(): JSX.Element {
  const t = texts.value.playground.controls;
  if (phase.value === "live" || phase.value === "connecting" || phase.value === "starting") {
    return (
      <button class="control" type="button" title={t.endHint} onClick={endSession}>
        <Icon name="end" />
        <span>{t.end}</span>
      </button>
    );
  }
  const disabled = !signedIn.value || characters.value.length === 0;
  return (
    <button class="control strong" type="button" title={t.startHint} disabled={disabled} onClick={restart}>
      <Icon name="sample" />
      <span>{t.start}</span>
    </button>
  );
}

function HoldToTalk({ disabled }: { disabled: boolean }): JSX.Element {
  const t = texts.value.playground.controls;
  const held = microphone.value === "hold";
  const level = held ? Math.min(1, Math.sqrt(microphoneLevel.value) * 2.2) : 0;
  const label = held ? t.talking : microphone.value === "opening" ? t.opening : t.hold;
  const isHoldKey = ({ key }: KeyboardEvent): boolean => key === " " || key === "Enter";
  return (
    <button
      class="control talk"
      type="button"
      disabled={disabled}
      aria-pressed={held}
      aria-keyshortcuts="Space"
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
      <kbd aria-hidden="true">{t.space}</kbd>
    </button>
  );
}
