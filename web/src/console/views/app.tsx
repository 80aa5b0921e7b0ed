// The console's layout: the header, the list of views at the left, the chosen view.

import type { JSX } from "preact";
import { Header } from "../../operator/header";
import { Icon, type IconName } from "../../operator/icons";
import { texts } from "../../operator/texts";
import { leave } from "../actions/sign-in";
import { Dialogs } from "../parts/dialogs";
import { addressOf, type View } from "../state/route";
import { api, route, signInState } from "../state/signals";
import { AccountView, Accounts } from "./accounts";
import { Audit } from "./audit";
import { Avatars } from "./avatars";
import { CapacityView } from "./capacity";
import { Keys } from "./keys";
import { Plans } from "./plans";
import { SessionView } from "./session";
import { Sessions } from "./sessions";
import { SignIn } from "./sign-in";
import { Webhooks, WebhookView } from "./webhooks";

const PLACES: [view: View, icon: IconName][] = [
  ["sessions", "live"],
  ["avatars", "face"],
  ["accounts", "people"],
  ["keys", "key"],
  ["plans", "plan"],
  ["webhooks", "hook"],
  ["capacity", "gauge"],
  ["audit", "list"],
];

export function App(): JSX.Element {
  const signedIn = signInState.value === "good";
  return (
    <>
      <ConsoleHeader />
      {signedIn ? (
        <div class="console">
          <nav class="places" aria-label={texts.value.operatorConsole.views}>
            {PLACES.map(([view, icon]) => (
              <a key={view} href={addressOf(view)} aria-current={route.value.view === view ? "page" : undefined}>
                <Icon name={icon} />
                {texts.value.operatorConsole.names[view]}
              </a>
            ))}
          </nav>
          <main class="view" id="view" tabIndex={-1}>
            <Shown />
          </main>
        </div>
      ) : (
        <SignIn />
      )}
      <Dialogs />
    </>
  );
}

function Shown(): JSX.Element {
  const { view, id } = route.value;
  switch (view) {
    case "sessions":
      return id === "" ? <Sessions /> : <SessionView sessionId={id} />;
    case "avatars":
      return <Avatars />;
    case "accounts":
      return id === "" ? <Accounts /> : <AccountView accountId={id} />;
    case "keys":
      return <Keys />;
    case "plans":
      return <Plans />;
    case "webhooks":
      return id === "" ? <Webhooks /> : <WebhookView webhookId={id} />;
    case "capacity":
      return <CapacityView />;
    case "audit":
      return <Audit />;
  }
}

function ConsoleHeader(): JSX.Element {
  const t = texts.value.operatorConsole;
  const signIn = api.value?.signIn ?? null;
  return (
    <Header
      name={t.title}
      brand={t.brand}
      home="/console"
      reference="/docs/admin"
      signIn={signIn}
      leave={() => void leave()}
    />
  );
}
