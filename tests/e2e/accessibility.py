"""What keeps people out of a page: the violations that axe finds, and parts that are wider than the window. axe-core is
a development dependency of web/, so it is there after `npm ci`, as CI calls it.
"""

from __future__ import annotations

import os
from pathlib import Path

from playwright.async_api import Page, ViewportSize

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 860}

# All rules of axe, its best practices and the size of targets included. In the second theme only colours differ.
LOOK = """
async ([theme, rules]) => {
  if (theme !== null) document.documentElement.dataset.theme = theme;
  const options = rules === null ? { rules: { "target-size": { enabled: true } } } : { runOnly: rules };
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...options });
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${help}\\n${html.slice(0, 200)}\\n${failureSummary}`));
}
"""
# What is wider than the window, or is cut off: buttons, headings and cells whose text does not fit into them.
TOO_WIDE = """
() => {
  const faults = [];
  const wider = document.documentElement.scrollWidth - innerWidth;
  if (wider > 0) faults.push(`the page is ${wider} px wider than the window`);
  for (const e of document.querySelectorAll("button, a, label, h1, h2, h3, th, dt, legend, .chip, .tag, .toast")) {
    if (e.closest(".visually-hidden") || getComputedStyle(e).overflowX === "visible" || e.clientWidth === 0) continue;
    if (e.scrollWidth > e.clientWidth + 1) faults.push(`cut off: ${e.outerHTML.slice(0, 160)}`);
  }
  for (const e of document.querySelectorAll("button, h1, h2, h3, .chip, dialog")) {
    const box = e.getBoundingClientRect();
    const scrolls = e.closest("nav, .table-card, .avatar-list, .json-block, .visually-hidden") !== null;
    if (!scrolls && box.width > 0 && (box.right > innerWidth + 1 || box.left < -1))
      faults.push(`outside the window: ${e.outerHTML.slice(0, 160)}`);
  }
  return faults;
}
"""

MOVING = "() => document.getAnimations().map((one) => `it moves: ${one.effect.target.outerHTML.slice(0, 160)}`)"
# Whether a person sees which element has the focus: an outline around it, or around what shows it.
FOCUSED = """
() => {
  const e = document.activeElement;
  if (e === null || e === document.body) return null;
  const shown = [e, e.nextElementSibling, e.closest("label, .say")].filter((one) => one !== null);
  const visible = shown.some((one) => getComputedStyle(one).outlineStyle !== "none");
  return { element: e.outerHTML.slice(0, 160), visible };
}
"""


class Inspector:
    """Looks at a page wherever it is shown, in both themes and in two sizes of the window. `faults`: what it found."""

    def __init__(self, page: Page, *, themes: tuple[str, ...] = ("light", "dark")) -> None:
        self._page = page
        self._themes = themes
        self.faults: list[str] = []

    async def look(self, name: str) -> None:
        """Note the faults of what is shown now. Where VISAVIS_SCREENSHOTS names a folder, save what it looks like."""
        if not await self._page.evaluate("'axe' in window"):
            await self._page.emulate_media(reduced_motion="reduce")  # else a colour is measured while it changes
            await self._page.evaluate(AXE.read_text())
        for theme in self._themes:
            rules = None if theme == self._themes[0] else ["color-contrast"]
            found = await self._page.evaluate(LOOK, [theme, rules])
            found += await self._page.evaluate(MOVING)
            self._note(name, f"{theme}", found)
            await self._save(f"{name}-{theme}")
        await self._page.set_viewport_size(PHONE)
        self._note(name, "phone", await self._page.evaluate(TOO_WIDE))
        self._note(name, "phone", await self._page.evaluate(LOOK, [None, ["scrollable-region-focusable"]]))
        for theme in self._themes[: None if "VISAVIS_SCREENSHOTS" in os.environ else 0]:
            await self._page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
            await self._save(f"{name}-{theme}-phone")
        await self._page.set_viewport_size(DESKTOP)
        self._note(name, "desktop", await self._page.evaluate(TOO_WIDE))

    async def walk(self, name: str, presses: int) -> None:
        """Walk through what is shown with the Tab key. Note where the focus cannot be seen."""
        for _ in range(presses):
            await self._page.keyboard.press("Tab")
            focused = await self._page.evaluate(FOCUSED)
            if focused is not None and not focused["visible"]:
                self._note(name, "keyboard", [f"the focus is not seen: {focused['element']}"])

    def _note(self, name: str, how: str, faults: list[str]) -> None:
        self.faults += [f"{name} ({how}): {fault}" for fault in faults]

    async def _save(self, name: str) -> None:
        if folder := os.environ.get("VISAVIS_SCREENSHOTS"):
            await self._page.screenshot(path=Path(folder, f"{name}.png"))
