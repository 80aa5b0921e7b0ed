// Runs before the first paint: a theme that the visitor chose by hand, so that the page never flashes in the other one.
try {
  const chosen = localStorage.getItem("visavis.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; the system's theme then holds.
}
