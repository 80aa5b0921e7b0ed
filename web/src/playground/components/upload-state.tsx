// The progress of a photo's upload, or why the server refused the photo.

import type { JSX } from "preact";
import { closeRefusal, openPointsDialog } from "../actions/photos";
import { unplacedPhoto, upload } from "../state/signals";
import type { Problem } from "../../operator/problems";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";

export function UploadState(): JSX.Element | null {
  const current = upload.value;
  if (current === null) return null;
  if (current.problem !== null) return <Refusal problem={current.problem} />;
  const t = texts.value.playground.avatars;
  const sending = current.fraction < 1;
  return (
    <div class="upload" role="status">
      <div>
        <strong>{sending ? t.sending : t.studying}</strong>
        <progress aria-label={current.name} {...(sending ? { value: current.fraction, max: 1 } : {})} />
      </div>
    </div>
  );
}

function Refusal({ problem: { title, detail } }: { problem: Problem }): JSX.Element {
  return (
    <div class="upload failed" role="alert">
      <div>
        <strong>{title}</strong>
        <p>{detail}</p>
        <OfferPoints />
      </div>
      <button
        class="quiet square"
        type="button"
        aria-label={texts.value.playground.avatars.closeMessage}
        onClick={closeRefusal}
      >
        <Icon name="end" />
      </button>
    </div>
  );
}

/** Offers the dialog in which the visitor shows where the face is. */
function OfferPoints(): JSX.Element | null {
  if (unplacedPhoto.value === null) return null;
  return (
    <>
      <p>{texts.value.playground.avatars.offerPoints}</p>
      <button class="control" type="button" onClick={openPointsDialog}>
        {texts.value.playground.avatars.markFace}
      </button>
    </>
  );
}
