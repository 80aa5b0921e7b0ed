// Follows the address.

import { route } from "../state/signals";
import { addressOf, readRoute } from "../state/route";

export function followAddress(): void {
  addEventListener("hashchange", () => {
    route.value = readRoute(location.hash);
    scrollTo(0, 0);
    document.getElementById("view")?.focus({ preventScroll: true }); // a keyboard goes on in the new view
  });
}

/** Change a filter of the view that is shown, and the address with it. "": none. */
export function setFilter(name: string, value: string): void {
  const { view, id, filters } = route.value;
  history.replaceState(null, "", addressOf(view, id, { ...filters, [name]: value }));
  route.value = readRoute(location.hash);
}
