// Asks for an API key, in place of the picture.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { signInWithKey } from "../actions/sign-in";
import { signInState } from "../state/signals";
import { Mark } from "../../operator/icons";
import { Sentence } from "../../operator/sentence";
import { texts } from "../../operator/texts";

export function SignInForm(): JSX.Element {
  const [value, setValue] = useState("");
  const wrong = signInState.value === "wrong";
  const { shared, playground } = texts.value;
  const reasons = { wrong: shared.wrongKey, used: shared.usedLink, over: playground.signIn.over };
  const reason = signInState.value;
  const { title, detail } = reason in reasons ? reasons[reason as keyof typeof reasons] : playground.signIn;
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
          <label for="key">{shared.apiKey}</label>
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
            {shared.signIn}
          </button>
        </div>
        <p class="footnote">
          <Sentence text={playground.signIn.footnote} command={<code>visavis keys sign-in</code>} />
        </p>
      </form>
    </div>
  );
}
