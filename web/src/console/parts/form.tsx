// What the forms of new keys, accounts, webhooks and plans share: the button that opens one, and the dialog around it.

import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";
import { Dialog } from "./dialogs";

interface NewButtonProps {
  label: string;
  form: (close: () => void) => JSX.Element;
}

/** A button that opens a form. */
export function NewButton({ label, form }: NewButtonProps): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button class="solid" type="button" onClick={() => setOpen(true)}>
        <Icon name="plus" />
        {label}
      </button>
      {open && form(() => setOpen(false))}
    </>
  );
}

interface FormDialogProps {
  title: string;
  action: string; // what the form does
  ready?: boolean; // it may be sent
  send: () => Promise<void>;
  close: () => void;
  children: ComponentChildren;
}

/** A form in a dialog. It is sent once at a time. */
export function FormDialog({ title, action, ready = true, send, close, children }: FormDialogProps): JSX.Element {
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    await send();
    setBusy(false);
  };
  return (
    <Dialog title={title} onClose={close}>
      <form class="form" onSubmit={(event) => void submit(event)}>
        {children}
        <div class="dialog-actions">
          <button class="outline" type="button" onClick={close}>
            {texts.value.shared.cancel}
          </button>
          <button class="solid" type="submit" disabled={busy || !ready}>
            {action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
