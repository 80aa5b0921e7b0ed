// Applies the visitor's stored theme before the first paint, so that the page never shows the other theme first.
try {
  const chosen = localStorage.getItem("visavis.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // The browser may forbid storage. The system's theme then applies.
}
