// What the element says over its picture, in the language of the page.

/** What the element says over its picture. */
export interface AvatarTexts {
  label: string; // of the picture, for screen readers
  connecting: string;
  waiting: string;
  reconnecting: string;
  ended: string;
  refused: string;
  mixedContent: string; // the page is HTTPS, the server is not
  localNetwork: string; // a page of the public web, a server at a private address
  unmute: string;
  play: string; // where the browser or the system has paused the picture
  again: string;
}

const EN: AvatarTexts = {
  label: "Avatar",
  connecting: "Connecting",
  waiting: "Waiting for the avatar",
  reconnecting: "Reconnecting",
  ended: "The conversation has ended",
  refused: "The avatar cannot be shown",
  mixedContent: "This page is HTTPS, and the avatar's server is not: browsers do not let the page reach it",
  localNetwork:
    "The avatar's server has a private address, which browsers keep from pages of the public web. " +
    "Allow this page to access your local network",
  unmute: "Turn on sound",
  play: "Play",
  again: "Try again",
};

const DE: AvatarTexts = {
  label: "Avatar",
  connecting: "Verbinden",
  waiting: "Warten auf den Avatar",
  reconnecting: "Neu verbinden",
  ended: "Das Gespräch ist zu Ende",
  refused: "Der Avatar kann nicht gezeigt werden",
  mixedContent: "Diese Seite ist HTTPS, der Server des Avatars nicht: Browser lassen die Seite nicht zu ihm",
  localNetwork:
    "Der Server des Avatars hat eine private Adresse, die Browser vor Seiten des öffentlichen Netzes schützen. " +
    "Erlauben Sie dieser Seite den Zugriff auf Ihr lokales Netz",
  unmute: "Ton einschalten",
  play: "Abspielen",
  again: "Erneut versuchen",
};

/** The texts for a language tag, such as `de-AT`: German or English. */
export function textsFor(language: string): AvatarTexts {
  return /^de\b/i.test(language) ? DE : EN;
}
