// Asks for an API key, in place of the picture.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { changeKey } from "../actions/avatars";
import { Mark } from "./icons";

/** `wrong`: the server has refused the last key. */
export function KeyForm({ wrong }: { wrong: boolean }): JSX.Element {
  const [value, setValue] = useState("");
  const title = wrong ? "The server does not accept this key" : "Meet your avatar";
  const detail = wrong
    ? "The key may be misspelt or revoked. Enter another one."
    : "Enter an API key of this server. The avatar then greets you.";
  return (
    <div class="overlay">
      <form
        class="message key-form"
        onSubmit={(event) => {
          event.preventDefault();
          changeKey(value);
        }}
      >
        <Mark />
        <h2>{title}</h2>
        <p>{detail}</p>
        <div class="field">
          <label for="key">API key</label>
          <input
            id="key"
            type="password"
            class="mono"
            autocomplete="off"
            spellcheck={false}
            required
            autofocus
            placeholder="ah_live_…"
            aria-invalid={wrong}
            value={value}
            onInput={(event) => setValue(event.currentTarget.value)}
          />
          <button class="solid" type="submit">
            Continue
          </button>
        </div>
        <p class="footnote">
          <code>visavis keys create --name me</code> creates a key. In a terminal, the server also prints one when it
          first starts. The key stays in this browser tab.
        </p>
      </form>
    </div>
  );
}
