// Asks for an API key, in place of the picture.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { signInWithKey } from "../actions/sign-in";
import { signInState } from "../state/signals";
import { Mark } from "./icons";

const ASKED: [title: string, detail: string] = [
  "Meet your avatar",
  "Sign in with an API key of this server. The avatar then greets you.",
];
const TEXTS: Partial<Record<string, [title: string, detail: string]>> = {
  wrong: ["The server does not accept this key", "The key may be misspelt, expired or revoked. Enter another one."],
  used: ["This link has been used before", "A link signs in once, within an hour. Enter a key, or make a new link."],
  over: ["You are signed out", "A sign-in lasts for some hours. Sign in again to go on."],
};

export function SignInForm(): JSX.Element {
  const [value, setValue] = useState("");
  const wrong = signInState.value === "wrong";
  const [title, detail] = TEXTS[signInState.value] ?? ASKED;
  return (
    <div class="overlay">
      <form
        class="message key-form"
        onSubmit={(event) => {
          event.preventDefault();
          setValue(""); // the page keeps no key
          void signInWithKey(value);
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
            Sign in
          </button>
        </div>
        <p class="footnote">
          <code>visavis keys sign-in</code> prints a link that signs you in without a key. The browser keeps a cookie
          that scripts cannot read.
        </p>
      </form>
    </div>
  );
}
