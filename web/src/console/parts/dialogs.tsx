// The dialogs of all views: a question before something that cannot be undone, and a secret that is shown once.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Sentence } from "../../operator/sentence";
import { texts } from "../../operator/texts";
import { ask, attempt, dismissNotice, showSecret } from "../actions/tell";
import { newSecret, notice, question } from "../state/signals";
import { CopyButton } from "./copy-button";

/** A modal dialog. It keeps the focus; Escape closes it. Then the focus goes back to where it was. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="dialog-title" onClose={props.onClose}>
      <h2 id="dialog-title">{props.title}</h2>
      {props.children}
    </dialog>
  );
}

export function Dialogs(): JSX.Element {
  return (
    <>
      {question.value !== null && <AskedQuestion key={question.value.title} />}
      {newSecret.value !== null && <ShownSecret />}
      <div class="notices" role="status">
        {notice.value !== null && (
          <p class="toast" data-failed={notice.value.failed}>
            <span>{notice.value.text}</span>
            <button class="quiet" type="button" onClick={dismissNotice}>
              {texts.value.operatorConsole.dismiss}
            </button>
          </p>
        )}
      </div>
    </>
  );
}

function AskedQuestion(): JSX.Element | null {
  const [busy, setBusy] = useState(false);
  const asked = question.value;
  if (asked === null) return null;
  const run = async (): Promise<void> => {
    setBusy(true);
    await attempt(asked.run, "");
    ask(null);
  };
  return (
    <Dialog title={asked.title} onClose={() => ask(null)}>
      <p>{asked.text}</p>
      <div class="dialog-actions">
        <button class="outline" type="button" onClick={() => ask(null)}>
          {texts.value.shared.cancel}
        </button>
        <button class="solid danger" type="button" disabled={busy} onClick={() => void run()}>
          {asked.action}
        </button>
      </div>
    </Dialog>
  );
}

function ShownSecret(): JSX.Element | null {
  const t = texts.value.operatorConsole.secret;
  const made = newSecret.value;
  if (made === null) return null;
  return (
    <Dialog title={made.title} onClose={() => showSecret(null)}>
      <p>
        <Sentence text={made.kind === "key" ? t.ofKey : t.ofWebhook} name={<strong>{made.name}</strong>} />
      </p>
      <p class="secret">
        <code>{made.secret}</code>
        <CopyButton label={made.kind === "key" ? t.copyKey : t.copySecret} text={made.secret} />
      </p>
      <div class="dialog-actions">
        <button class="solid" type="button" onClick={() => showSecret(null)}>
          {t.saved}
        </button>
      </div>
    </Dialog>
  );
}
