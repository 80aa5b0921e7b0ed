// Asks for a key of an operator, in place of the console.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Mark } from "../../operator/icons";
import { Sentence } from "../../operator/sentence";
import { serverAddress } from "../../operator/server-address";
import { texts } from "../../operator/texts";
import { signInWithKey } from "../actions/sign-in";
import { serverProblem, signInState } from "../state/signals";

export function SignIn(): JSX.Element {
  const { shared, operatorConsole } = texts.value;
  const t = operatorConsole.signIn;
  const [value, setValue] = useState("");
  useEffect(() => {
    document.title = operatorConsole.pageTitle(operatorConsole.title);
  }, [operatorConsole]);
  const problem = serverProblem.value;
  if (signInState.value === "checking") {
    return (
      <main class="entry" aria-busy={problem === null}>
        {problem !== null && (
          <div class="card entry-form" role="alert">
            <Mark />
            <h2>{problem.title}</h2>
            <p>{problem.detail}</p>
          </div>
        )}
      </main>
    );
  }
  const reasons = { wrong: shared.wrongKey, used: shared.usedLink, over: t.over, customer: t.customer };
  const reason = signInState.value;
  const { title, detail } = reason in reasons ? reasons[reason as keyof typeof reasons] : t;
  return (
    <main class="entry">
      <form
        class="card entry-form"
        onSubmit={(event) => {
          event.preventDefault();
          setValue(""); // the page keeps no key
          void signInWithKey(value);
        }}
      >
        <Mark />
        <h2>{title}</h2>
        <p>{detail}</p>
        <label class="choice">
          <span>{shared.apiKey}</span>
          <input
            type="password"
            class="mono"
            autocomplete="off"
            spellcheck={false}
            required
            autofocus
            placeholder="ah_live_…"
            aria-invalid={signInState.value === "wrong"}
            value={value}
            onInput={(event) => setValue(event.currentTarget.value)}
          />
        </label>
        <button class="solid" type="submit">
          {shared.signIn}
        </button>
        <p class="remark">
          <Sentence
            text={t.remark}
            command={<code>visavis keys sign-in --console</code>}
            playground={<a href={serverAddress("/")}>{t.playground}</a>}
          />
        </p>
      </form>
    </main>
  );
}
