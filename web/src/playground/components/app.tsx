import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { currentTheme, toggleTheme } from "../../shared/theme";
import { keyHint } from "../key";
import { setKey } from "../avatars";
import { key, keyState } from "../state";
import { Avatars } from "./avatars";
import { Dock } from "./dock";
import { Figures } from "./figures";
import { Icon, Mark } from "./icons";
import { Panel } from "./panel";
import { Stage } from "./stage";

export function App(): JSX.Element {
  return (
    <>
      <Header />
      <main class="layout">
        <div class="performance">
          <Stage />
          <Dock />
          <Figures />
        </div>
        <div class="side">
          <Avatars />
          <Panel />
        </div>
      </main>
    </>
  );
}

function Header(): JSX.Element {
  const [theme, setTheme] = useState(currentTheme());
  const next = theme === "dark" ? "light" : "dark";
  return (
    <header class="header">
      <a class="brand" href="/" aria-label="Visavis playground">
        <Mark />
        <span>Visavis</span>
      </a>
      <h1 class="place">Playground</h1>
      <span class="spring" />
      {keyState.value === "good" && (
        <button class="quiet key-chip" type="button" onClick={() => setKey("")} title="Use another key">
          <Icon name="key" />
          <span class="mono">{keyHint(key.value)}</span>
          <span class="visually-hidden">Use another key</span>
        </button>
      )}
      <a class="quiet" href="/openapi.json" target="_blank" rel="noopener">
        API
      </a>
      <button class="quiet square" type="button" aria-label={`Use the ${next} theme`} title={`Use the ${next} theme`} onClick={() => setTheme(toggleTheme())}>
        <Icon name={theme === "dark" ? "sun" : "moon"} />
      </button>
    </header>
  );
}
