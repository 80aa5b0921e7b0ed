// What filters and forms let a person choose from.

import { accounts, api, plans } from "../state/signals";

/** Load the newest accounts and the plans. */
export async function loadChoices(): Promise<void> {
  const server = api.value;
  if (server === null) return;
  const [page, found] = await Promise.all([server.accounts({ limit: "100" }), server.plans()]);
  accounts.value = page.accounts;
  plans.value = found;
}
