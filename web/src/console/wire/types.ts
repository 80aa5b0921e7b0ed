// The answers of /v1/admin, as docs/reference/admin.md describes them. Types only.

export interface Page {
  next_cursor: string | null;
}

export interface OfAccount {
  account_id: string;
  name: string;
}

type Status = "created" | "started" | "ended";

export interface Session {
  session_id: string;
  account: OfAccount;
  key_id: string;
  test: boolean;
  dialect: "hosted" | "own";
  status: Status;
  reason: string | null;
  avatar: { avatar_id: string; name: string };
  metadata: Record<string, unknown>;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  expiration: string | null;
  usage: {
    minutes: number;
    included_minutes: number;
    purchased_minutes: number;
    seconds: number;
    seen_seconds: number;
  };
  played: { utterances: number; interrupted: number; seconds: number; viewers: number };
  viewers: number;
  channel: boolean;
}

interface Percentiles {
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface Metrics {
  frames: { rate: number; wanted_rate: number; late: number };
  speech: { queued_s: number; utterances: number; interrupted: number };
  latency_ms: { frame: Percentiles };
  interrupts: { count: number; silent_ms: Percentiles };
  viewers: { watching: number; round_trip_ms: number | null; lost_share: number | null };
}

export interface Account {
  account_id: string;
  name: string;
  plan: string;
  created_at: string;
}

export interface AccountUsage {
  period: { start: string; end: string };
  included_minutes: { total: number | null; used: number; remaining: number | null };
  purchased_minutes: { total: number; remaining: number };
  total_remaining: number | null;
  concurrency: { current: number; max: number | null };
}

export interface Purchase {
  purchase_id: string;
  minutes: number;
  used: number;
  created_at: string;
}

export interface Key {
  key_id: string;
  account: OfAccount;
  name: string;
  start: string;
  test: boolean;
  scopes: string[];
  sources: string[];
  state: "active" | "expired" | "revoked";
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
  revoked_at: string | null;
}

export interface NewKey {
  name: string;
  account_id?: string;
  test: boolean;
  scopes: string[];
  days?: number;
}

export interface Plan {
  plan: string;
  name: string;
  max_concurrency: number | null;
  included_minutes: number | null;
  max_session_minutes: number | null;
  waives_unwatched: boolean;
}

export interface Webhook {
  webhook_id: string;
  url: string;
  events: string[];
  test: boolean;
  enabled: boolean;
  disabled_reason: "client" | "failing" | "gone" | null;
  failing_since: string | null;
  undelivered: number;
  created_at: string;
  account: OfAccount;
}

export interface NewWebhook {
  account_id: string;
  test: boolean;
  url: string;
  events: string[]; // none: all types
}

export interface Delivery {
  delivery_id: string;
  type: string;
  session_id: string | null;
  number: number | null;
  status: "pending" | "delivered" | "failed" | "missed";
  attempts: number;
  next_attempt_at: string | null;
  delivered_at: string | null;
  created_at: string;
}

export interface DeliveryDetails extends Delivery {
  event: Record<string, unknown>;
  attempt_log: {
    number: number;
    at: string;
    duration_ms: number;
    status_code: number | null;
    problem: string | null;
  }[];
}

export interface Avatar {
  avatar_id: string;
  account: OfAccount | null;
  name: string;
  is_public: boolean;
  preview_url: string;
  created_at: string;
}

export interface Capacity {
  capacity: {
    sessions: number;
    places: { width: number; height: number; free: number }[];
    load: number;
    frame_rate: number;
  };
  starting: number;
  viewers: number;
  channels: number;
  cores: { given: number; unused: number; stolen: number; throttled: number };
  stages: {
    machine: string;
    sessions: number;
    viewers: number;
    cores: number;
    loop_load: number;
    memory_bytes: number;
    port: number;
    dropped: number;
  }[];
  problems: string[];
}

export interface AuditEntry {
  audit_id: string;
  at: string;
  actor: "key" | "command" | "server";
  actor_id: string | null;
  address: string | null;
  action: string;
  subject_id: string;
  account_id: string | null;
  details: Record<string, unknown>;
}
