// The light and the dark theme. The visitor's choice is stored; without one the system's theme applies.
// public/theme.js applies a stored choice before the first paint.

const STORAGE_KEY = "visavis.theme";
type Theme = "light" | "dark";

export function currentTheme(): Theme {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Change to the other theme. Return it. */
export function toggleTheme(): Theme {
  const theme: Theme = currentTheme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(STORAGE_KEY, theme);
  } catch {
    // The browser may forbid storage. The choice then lasts until the page is closed.
  }
  return theme;
}
