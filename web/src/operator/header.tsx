// The header of the playground and of the console: where one is, who is signed in, the language and the theme.

import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { NAMES } from "../texts/language";
import { Icon, Mark } from "./icons";
import { serverAddress } from "./server-address";
import type { SignIn } from "./sign-in";
import { chooseLanguage, otherLanguage, texts } from "./texts";
import { currentTheme, toggleTheme } from "./theme";

interface HeaderProps {
  name: string; // of the page
  brand: string; // the same, for screen readers, with the product's
  home: string; // paths
  reference: string;
  signIn: SignIn | null;
  leave: () => void;
  children?: ComponentChildren; // links to other pages
}

export function Header({ name, brand, home, reference, signIn, leave, children }: HeaderProps): JSX.Element {
  const t = texts.value.shared;
  return (
    <header class="header">
      <a class="brand" href={serverAddress(home)} aria-label={brand}>
        <Mark />
        <span>Visavis</span>
      </a>
      <h1 class="page-name">{name}</h1>
      <span class="spring" />
      {signIn !== null && (
        <button class="quiet key-chip" type="button" onClick={leave} title={t.signedIn(signIn.keyName)}>
          <Icon name="key" />
          <span class="mono">{signIn.keyHint}</span>
          <span>{t.signOut}</span>
        </button>
      )}
      {children}
      <a class="quiet" href={serverAddress(reference)} target="_blank" rel="noopener">
        {t.api}
      </a>
      <LanguageSwitch />
      <ThemeSwitch />
    </header>
  );
}

function LanguageSwitch(): JSX.Element {
  const other = otherLanguage.value;
  const { name, sign } = NAMES[other];
  return (
    <button
      class="quiet square"
      type="button"
      lang={other}
      aria-label={`${sign}: ${name}`}
      title={name}
      onClick={() => chooseLanguage(other)}
    >
      {sign}
    </button>
  );
}

function ThemeSwitch(): JSX.Element {
  const [theme, setTheme] = useState(currentTheme());
  const label = theme === "dark" ? texts.value.shared.useLight : texts.value.shared.useDark;
  return (
    <button class="quiet square" type="button" aria-label={label} title={label} onClick={() => setTheme(toggleTheme())}>
      <Icon name={theme === "dark" ? "sun" : "moon"} />
    </button>
  );
}
