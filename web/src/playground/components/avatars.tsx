// Choosing a face: cards of public and own avatars, and a photo by picker, drop or paste.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Avatar } from "../api";
import { removeAvatar, uploadPhoto } from "../avatars";
import { startSession } from "../live-session";
import { unfound } from "../photo";
import { avatarsState, characters, chosenId, keyState, lookId, looks, phase, upload } from "../state";
import { Icon } from "./icons";
import { PhotoReport } from "./photo-report";
import { PlacePoints } from "./place-points";

export function Avatars(): JSX.Element | null {
  const picker = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);

  useEffect(() => {
    const carriesFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
    const dragged = (event: DragEvent): void => {
      if (!carriesFile(event)) return;
      event.preventDefault();
      setOver(event.type !== "dragleave" || event.relatedTarget !== null);
    };
    const dropped = (event: DragEvent): void => {
      if (!carriesFile(event)) return;
      event.preventDefault();
      setOver(false);
      take(event.dataTransfer?.files);
    };
    const pasted = (event: ClipboardEvent): void => take(event.clipboardData?.files);
    document.addEventListener("dragover", dragged);
    document.addEventListener("dragleave", dragged);
    document.addEventListener("drop", dropped);
    document.addEventListener("paste", pasted);
    return () => {
      document.removeEventListener("dragover", dragged);
      document.removeEventListener("dragleave", dragged);
      document.removeEventListener("drop", dropped);
      document.removeEventListener("paste", pasted);
    };
  }, []);

  const ready = keyState.value === "good";
  return (
    <section class="card avatars" aria-labelledby="avatars-title">
      <h2 id="avatars-title">Avatars</h2>
      <ul class="faces">
        <li>
          <button class="face add" type="button" disabled={!ready} onClick={() => picker.current?.click()}>
            <span class="portrait">
              <Icon name="plus" />
            </span>
            <span class="name">Your photo</span>
          </button>
          <input
            ref={picker}
            class="visually-hidden"
            type="file"
            accept="image/jpeg,image/png,image/webp,image/gif"
            tabIndex={-1}
            aria-label="Photo to make an avatar of"
            onChange={(event) => {
              take(event.currentTarget.files);
              event.currentTarget.value = "";
            }}
          />
        </li>
        {characters.value.map((avatar) => (
          <Face key={avatar.avatar_id} avatar={avatar} />
        ))}
        {ready && avatarsState.value !== "ready" && (
          <li class="face ghost" aria-hidden="true">
            <span class="portrait" />
          </li>
        )}
      </ul>
      <Looks />
      <UploadState />
      <PhotoReport />
      <PlacePoints />
      {upload.value === null && <p class="hint">
          <span class="with-mouse">Drop or paste a photo anywhere.</span> One face, looking at the camera.
        </p>}
      {over && (
        <div class="drop-veil" aria-hidden="true">
          <p>Drop the photo to give it a voice</p>
        </div>
      )}
    </section>
  );
}

function take(files: FileList | null | undefined): void {
  const file = files?.[0];
  if (file !== undefined) void uploadPhoto(file);
}

/** The looks of the chosen character, where it has several. */
function Looks(): JSX.Element | null {
  if (looks.value.length < 2) return null;
  return (
    <div class="looks choices" role="group" aria-label="Looks">
      {looks.value.map((look) => (
        <button
          key={look.avatar_id}
          class="choice-button"
          type="button"
          aria-pressed={look.avatar_id === lookId.value}
          onClick={() => look.avatar_id !== lookId.value && void startSession(chosenId.value, { greet: true, look: look.avatar_id })}
        >
          {/\((.+)\)$/.exec(look.name)?.[1] ?? look.name}
        </button>
      ))}
    </div>
  );
}

function Face({ avatar }: { avatar: Avatar }): JSX.Element {
  const chosen = avatar.avatar_id === chosenId.value;
  const busy = chosen && (phase.value === "starting" || phase.value === "connecting" || phase.value === "live");
  return (
    <li>
      <button class="face" type="button" aria-pressed={chosen} onClick={() => !busy && void startSession(avatar.avatar_id, { greet: true })}>
        <span class="portrait">{avatar.preview_img_url !== null && <img src={avatar.preview_img_url} alt="" loading="lazy" />}</span>
        <span class="name">{avatar.name}</span>
      </button>
      {avatar.is_public !== 1 && (
        <button
          class="remove"
          type="button"
          aria-label={`Delete ${avatar.name}`}
          title="Delete"
          onClick={() => confirm(`Delete “${avatar.name}” and its pictures?`) && void removeAvatar(avatar)}
        >
          <Icon name="trash" />
        </button>
      )}
    </li>
  );
}

function UploadState(): JSX.Element | null {
  const current = upload.value;
  if (current === null) return null;
  if (current.problem !== null) {
    return (
      <div class="upload failed" role="alert">
        <div>
          <strong>{current.problem.title}</strong>
          <p>{current.problem.detail}</p>
          {unfound.value !== null && <p>A drawing, a mask, a statue? Seven points tell where its face is.</p>}
          {unfound.value !== null && (
            <button class="control" type="button" onClick={() => unfound.value !== null && (unfound.value = { ...unfound.value, open: true, problem: null })}>
              Show where the face is
            </button>
          )}
        </div>
        <button class="quiet square" type="button" aria-label="Dismiss" onClick={() => (upload.value = unfound.value = null)}>
          <Icon name="end" />
        </button>
      </div>
    );
  }
  const travelling = current.part < 1;
  return (
    <div class="upload" role="status">
      <div>
        <strong>{travelling ? "Sending the photo" : "Studying the face"}</strong>
        <progress aria-label={current.name} {...(travelling ? { value: current.part, max: 1 } : {})} />
      </div>
    </div>
  );
}
