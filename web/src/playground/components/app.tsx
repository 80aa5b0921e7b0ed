// The playground's layout: the header, the player with its controls on the left, avatars and tabs on the right.

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { leave } from "../actions/sign-in";
import { api, signedIn } from "../state/signals";
import { serverAddress } from "../../operator/server-address";
import { Avatars } from "./avatars";
import { Charts } from "./charts";
import { Controls } from "./controls";
import { Figures } from "./figures";
import { Header } from "../../operator/header";
import { Panel } from "./panel";
import { Player } from "./player";
import { texts } from "../../operator/texts";

export function App(): JSX.Element {
  return (
    <>
      <PlaygroundHeader />
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

function PlaygroundHeader(): JSX.Element {
  const t = texts.value.playground;
  useEffect(() => {
    document.title = `${t.title} · Visavis`;
  }, [t]);
  const signIn = signedIn.value ? api.value.signIn : null;
  return (
    <Header name={t.title} brand={t.brand} home="/" reference="/docs" signIn={signIn} leave={() => void leave()}>
      {api.value.signIn?.isOperator === true && (
        <a class="quiet" href={serverAddress("/console")}>
          {t.console}
        </a>
      )}
    </Header>
  );
}
