// The playground's layout: the header, the player with its controls on the left, avatars and tabs on the right.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { leave } from "../actions/sign-in";
import { api, signedIn } from "../state/signals";
import { serverAddress } from "../wire/server-address";
import { Avatars } from "./avatars";
import { Charts } from "./charts";
import { Controls } from "./controls";
import { Figures } from "./figures";
import { Icon, Mark } from "./icons";
import { Panel } from "./panel";
import { Player } from "./player";
import { currentTheme, toggleTheme } from "./theme";

export function App(): JSX.Element {
  return (
    <>
      <Header />
      <main class="layout">
        <div class="main-column">
          <Player />
          <Controls />
          <Figures />
          <Charts />
        </div>
        <div class="side-column">
          <Avatars />
          <Panel />
        </div>
      </main>
    </>
  );
}

function Header(): JSX.Element {
  const [theme, setTheme] = useState(currentTheme());
  const title = `Signed in with the key ${api.value.signIn?.keyName}. Sign out.`;
  const themeLabel = `Use the ${theme === "dark" ? "light" : "dark"} theme`;
  return (
    <header class="header">
      <a class="brand" href={serverAddress("/")} aria-label="Visavis playground">
        <Mark />
        <span>Visavis</span>
      </a>
      <h1 class="page-name">Playground</h1>
      <span class="spring" />
      {signedIn.value && (
        <button class="quiet key-chip" type="button" onClick={() => void leave()} title={title}>
          <Icon name="key" />
          <span class="mono">{api.value.signIn?.keyHint}</span>
          <span>Sign out</span>
        </button>
      )}
      <a class="quiet" href={serverAddress("/docs")} target="_blank" rel="noopener">
        API
      </a>
      <button
        class="quiet square"
        type="button"
        aria-label={themeLabel}
        title={themeLabel}
        onClick={() => setTheme(toggleTheme())}
      >
        <Icon name={theme === "dark" ? "sun" : "moon"} />
      </button>
    </header>
  );
}
