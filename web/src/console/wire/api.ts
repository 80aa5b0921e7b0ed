// The REST client of the console: calls of /v1/admin, and nothing else.

import { errorOf, parsed, unreachable } from "../../operator/answers";
import { serverAddress } from "../../operator/server-address";
import { currentSignIn, PAGE_HEADER, type SignIn } from "../../operator/sign-in";
import type {
  Account,
  AccountUsage,
  AuditEntry,
  Avatar,
  Capacity,
  Delivery,
  DeliveryDetails,
  Key,
  Metrics,
  NewKey,
  NewWebhook,
  Page,
  Plan,
  Purchase,
  Session,
  Webhook,
} from "./types";

type Filters = Record<string, string | null | undefined>;
type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** The path with those filters that are set. */
function withQuery(path: string, filters: Filters): string {
  const set = Object.entries(filters).filter((pair): pair is [string, string] => Boolean(pair[1]));
  return set.length === 0 ? path : `${path}?${new URLSearchParams(set)}`;
}

export class AdminApi {
  constructor(readonly signIn: SignIn) {
    this.pageToken = signIn.pageToken;
  }

  private pageToken: string;

  sessions(filters: Filters): Promise<Page & { sessions: Session[] }> {
    return this.call("GET", withQuery("/sessions", filters));
  }

  async session(sessionId: string): Promise<Session> {
    return (await this.call<{ session: Session }>("GET", `/sessions/${encodeURIComponent(sessionId)}`)).session;
  }

  async metrics(sessionId: string): Promise<Metrics> {
    return (await this.call<{ metrics: Metrics }>("GET", `/sessions/${encodeURIComponent(sessionId)}/metrics`)).metrics;
  }

  async endSession(sessionId: string): Promise<Session> {
    return (await this.call<{ session: Session }>("POST", `/sessions/${sessionId}/end`)).session;
  }

  accounts(filters: Filters): Promise<Page & { accounts: Account[] }> {
    return this.call("GET", withQuery("/accounts", filters));
  }

  account(accountId: string): Promise<{ account: Account; usage: AccountUsage }> {
    return this.call("GET", `/accounts/${encodeURIComponent(accountId)}`);
  }

  async assignPlan(accountId: string, plan: string): Promise<void> {
    await this.call("PATCH", `/accounts/${accountId}`, { plan });
  }

  async purchases(accountId: string): Promise<Purchase[]> {
    return (await this.call<{ purchases: Purchase[] }>("GET", `/accounts/${encodeURIComponent(accountId)}/purchases`))
      .purchases;
  }

  async credit(accountId: string, minutes: number): Promise<void> {
    await this.call("POST", `/accounts/${accountId}/purchases`, { minutes });
  }

  keys(filters: Filters): Promise<Page & { keys: Key[] }> {
    return this.call("GET", withQuery("/keys", filters));
  }

  createKey(key: NewKey): Promise<{ key: Key; secret: string }> {
    return this.call("POST", "/keys", key);
  }

  rotateKey(keyId: string, overlapHours: number): Promise<{ key: Key; secret: string }> {
    return this.call("POST", `/keys/${keyId}/rotate`, { overlap_hours: overlapHours });
  }

  async revokeKey(keyId: string): Promise<void> {
    await this.call("POST", `/keys/${keyId}/revoke`);
  }

  async plans(): Promise<Plan[]> {
    return (await this.call<{ plans: Plan[] }>("GET", "/plans")).plans;
  }

  async setPlan(key: string, changes: Partial<Plan>): Promise<void> {
    await this.call("PATCH", `/plans/${encodeURIComponent(key)}`, changes);
  }

  webhooks(filters: Filters): Promise<Page & { webhooks: Webhook[] }> {
    return this.call("GET", withQuery("/webhooks", filters));
  }

  async webhook(webhookId: string): Promise<Webhook> {
    return (await this.call<{ webhook: Webhook }>("GET", `/webhooks/${encodeURIComponent(webhookId)}`)).webhook;
  }

  createWebhook(webhook: NewWebhook): Promise<{ webhook: Webhook; secret: string }> {
    return this.call("POST", "/webhooks", webhook);
  }

  rotateWebhookSecret(webhookId: string, overlapHours: number): Promise<{ webhook: Webhook; secret: string }> {
    return this.call("POST", `/webhooks/${webhookId}/rotate`, { overlap_hours: overlapHours });
  }

  async deleteWebhook(webhookId: string): Promise<void> {
    await this.call("DELETE", `/webhooks/${webhookId}`);
  }

  async enableWebhook(webhookId: string, enabled: boolean): Promise<void> {
    await this.call("PATCH", `/webhooks/${webhookId}`, { enabled });
  }

  async pingWebhook(webhookId: string): Promise<void> {
    await this.call("POST", `/webhooks/${webhookId}/ping`);
  }

  /** Return how many deliveries are sent again. */
  async replayUndelivered(webhookId: string): Promise<number> {
    return (await this.call<{ replayed: number }>("POST", `/webhooks/${webhookId}/replay`)).replayed;
  }

  deliveries(webhookId: string, filters: Filters): Promise<Page & { deliveries: Delivery[] }> {
    return this.call("GET", withQuery(`/webhooks/${encodeURIComponent(webhookId)}/deliveries`, filters));
  }

  async delivery(webhookId: string, deliveryId: string): Promise<DeliveryDetails> {
    const path = `/webhooks/${webhookId}/deliveries/${deliveryId}`;
    return (await this.call<{ delivery: DeliveryDetails }>("GET", path)).delivery;
  }

  async replay(webhookId: string, deliveryId: string): Promise<void> {
    await this.call("POST", `/webhooks/${webhookId}/deliveries/${deliveryId}/replay`);
  }

  avatars(filters: Filters): Promise<Page & { avatars: Avatar[] }> {
    return this.call("GET", withQuery("/avatars", filters));
  }

  async deleteAvatar(avatarId: string): Promise<void> {
    await this.call("DELETE", `/avatars/${avatarId}`);
  }

  capacity(): Promise<Capacity> {
    return this.call("GET", "/capacity");
  }

  audit(filters: Filters): Promise<Page & { entries: AuditEntry[] }> {
    return this.call("GET", withQuery("/audit", filters));
  }

  private async call<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = { [PAGE_HEADER]: this.pageToken };
    if (body !== undefined) headers["content-type"] = "application/json";
    let response: Response;
    let text: string;
    try {
      const sent = body === undefined ? null : JSON.stringify(body);
      response = await fetch(serverAddress(`/v1/admin${path}`), { method, headers, body: sent, cache: "no-store" });
      text = await response.text();
    } catch {
      throw unreachable();
    }
    const answer = parsed(text);
    if (response.ok && answer !== undefined) return answer as T;
    const error = errorOf(response.status, answer, response.headers.get("retry-after"));
    if (error.code !== "REQUEST_FORGED" || !(await this.renewToken())) throw error;
    return this.call(method, path, body);
  }

  /** The browser may have signed in anew in another tab. Return whether that has brought another page token. */
  private async renewToken(): Promise<boolean> {
    const before = this.pageToken;
    this.pageToken = (await currentSignIn())?.pageToken ?? "";
    return this.pageToken !== "" && this.pageToken !== before;
  }
}
