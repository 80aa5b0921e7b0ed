// The console's state: what its views share. Views read these signals; the actions change them.

import { signal } from "@preact/signals";
import type { Problem } from "../../operator/problems";
import type { AdminApi } from "../wire/api";
import type { Account, Plan } from "../wire/types";
import { readRoute, type Route } from "./route";

// missing: nobody has signed in; wrong: the key was refused; used: the link's code was; over: the sign-in has ended;
// customer: the key is none of an operator
type SignInState = "checking" | "missing" | "wrong" | "used" | "over" | "customer" | "good";

interface Notice {
  text: string;
  failed: boolean;
}

/** A key, or the secret of a webhook, that was just made: it is shown once. */
export interface NewSecret {
  kind: "key" | "secret";
  title: string;
  name: string;
  secret: string;
}

/** A question before something that cannot be undone. */
export interface Question {
  title: string;
  text: string;
  action: string;
  run: () => Promise<void>;
}

// The sign-in: changed by actions/sign-in
export const api = signal<AdminApi | null>(null);
export const signInState = signal<SignInState>("checking");
export const serverProblem = signal<Problem | null>(null); // while the server cannot be asked who is signed in

// The address: changed by actions/navigate
export const route = signal<Route>(readRoute(location.hash));

// Choices of filters and forms: changed by actions/choices
export const accounts = signal<Account[]>([]);
export const plans = signal<Plan[]>([]);

// Dialogs and the line at the bottom: changed by actions/tell
export const question = signal<Question | null>(null);
export const newSecret = signal<NewSecret | null>(null);
export const notice = signal<Notice | null>(null);

// The time, for "2 min. ago" and for durations: changed by actions/clock
export const nowMs = signal(Date.now());
