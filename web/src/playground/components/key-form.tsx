import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { setKey } from "../avatars";
import { Mark } from "./icons";

export function KeyForm({ wrong }: { wrong: boolean }): JSX.Element {
  const [value, setValue] = useState("");
  return (
    <div class="overlay">
      <form
        class="message key-form"
        onSubmit={(event) => {
          event.preventDefault();
          setKey(value);
        }}
      >
        <Mark />
        <h2>{wrong ? "That key does not open this server" : "Meet your avatar"}</h2>
        <p>{wrong ? "It may be mistyped, or revoked. Enter another one." : "Enter an API key of this server, and it will greet you."}</p>
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
          The server printed one when it first started. <code>visavis keys create --name me</code> makes another. It stays in this tab.
        </p>
      </form>
    </div>
  );
}
