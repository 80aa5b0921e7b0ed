// Choose an avatar, or make one from a photo: by the file picker, by drop or by paste.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { deleteAvatar, renewPictures } from "../actions/avatars";
import { uploadPhoto } from "../actions/photos";
import { startSession } from "../actions/session";
import { avatarsState, characters, chosenId, signedIn, lookId, looks, phase, upload } from "../state/signals";
import type { Avatar } from "../wire/types";
import { FilePicker, useFilePicker } from "./file-picker";
import { Icon } from "../../operator/icons";
import { Sentence } from "../../operator/sentence";
import { texts } from "../../operator/texts";
import { PhotoReport } from "./photo-report";
import { PlacePoints } from "./place-points";
import { UploadState } from "./upload-state";

export function Avatars(): JSX.Element {
  const picker = useFilePicker();
  const dragging = useDroppedPhotos();
  const ready = signedIn.value;
  const t = texts.value.playground.avatars;
  return (
    <section class="card avatars" aria-labelledby="avatars-title">
      <h2 id="avatars-title">{t.title}</h2>
      <ul class="avatar-list">
        <li>
          <button class="avatar add" type="button" disabled={!ready} onClick={picker.open}>
            <span class="picture">
              <Icon name="plus" />
            </span>
            <span class="name">{t.add}</span>
          </button>
          <FilePicker
            picker={picker}
            label={t.photo}
            accept="image/jpeg,image/png,image/webp,image/gif"
            chosen={(file) => void uploadPhoto(file)}
          />
        </li>
        {characters.value.map((avatar) => (
          <Character key={avatar.avatar_id} avatar={avatar} />
        ))}
        {ready && avatarsState.value !== "ready" && (
          <li class="avatar placeholder" aria-hidden="true">
            <span class="picture" />
          </li>
        )}
      </ul>
      <Looks />
      <UploadState />
      <PhotoReport />
      <PlacePoints />
      {upload.value === null && (
        <p class="hint">
          <Sentence text={t.hint} more={<span class="with-mouse">{t.dropOrPaste}</span>} />
        </p>
      )}
      {dragging && (
        <div class="drop-veil" aria-hidden="true">
          <p>{t.drop}</p>
        </div>
      )}
    </section>
  );
}

/** Upload a photo that is dropped on the page or pasted. Return whether a file is being dragged over the page. */
function useDroppedPhotos(): boolean {
  const [dragging, setDragging] = useState(false);
  useEffect(() => {
    const carriesFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
    const upload = (files: FileList | undefined): void => {
      const file = files?.[0];
      if (file !== undefined) void uploadPhoto(file);
    };
    const dragged = (event: DragEvent): void => {
      if (!carriesFile(event)) return;
      event.preventDefault();
      setDragging(event.type !== "dragleave" || event.relatedTarget !== null);
    };
    const dropped = (event: DragEvent): void => {
      if (!carriesFile(event)) return;
      event.preventDefault();
      setDragging(false);
      upload(event.dataTransfer?.files);
    };
    const pasted = (event: ClipboardEvent): void => upload(event.clipboardData?.files);
    const listening = new AbortController();
    const { signal } = listening;
    document.addEventListener("dragover", dragged, { signal });
    document.addEventListener("dragleave", dragged, { signal });
    document.addEventListener("drop", dropped, { signal });
    document.addEventListener("paste", pasted, { signal });
    return () => listening.abort();
  }, []);
  return dragging;
}

function Character({ avatar }: { avatar: Avatar }): JSX.Element {
  const chosen = avatar.avatar_id === chosenId.value;
  const busy = chosen && (phase.value === "starting" || phase.value === "connecting" || phase.value === "live");
  return (
    <li>
      <button
        class="avatar"
        type="button"
        aria-pressed={chosen}
        onClick={() => {
          if (!busy) void startSession(avatar.avatar_id, { greet: true });
        }}
      >
        <span class="picture">
          {avatar.preview_img_url !== null && (
            <img src={avatar.preview_img_url} alt="" loading="lazy" onError={renewPictures} />
          )}
        </span>
        <span class="name">{avatar.name}</span>
      </button>
      {avatar.is_public !== 1 && (
        <button
          class="delete"
          type="button"
          aria-label={texts.value.shared.deleteNamed(avatar.name)}
          title={texts.value.shared.delete}
          onClick={() => {
            if (confirm(texts.value.playground.avatars.confirmDeletion(avatar.name))) void deleteAvatar(avatar);
          }}
        >
          <Icon name="trash" />
        </button>
      )}
    </li>
  );
}

/** The looks of the chosen character, if it has more than one. */
function Looks(): JSX.Element | null {
  if (looks.value.length < 2) return null;
  return (
    <div class="looks choices" role="group" aria-label={texts.value.playground.avatars.looks}>
      {looks.value.map((look) => (
        <button
          key={look.avatar_id}
          class="choice-button"
          type="button"
          aria-pressed={look.avatar_id === lookId.value}
          onClick={() => {
            if (look.avatar_id === lookId.value) return;
            void startSession(chosenId.value, { greet: true, look: look.avatar_id });
          }}
        >
          {nameWithinCharacter(look)}
        </button>
      ))}
    </div>
  );
}

/** A look is named "Character (look)". */
function nameWithinCharacter({ name }: Avatar): string {
  return /\((.+)\)$/.exec(name)?.[1] ?? name;
}
