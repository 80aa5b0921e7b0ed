// Hooks that load what a view shows, and load it again: by themselves, after an action, or when filters change.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../../operator/answers";
import { type Problem, problemOf } from "../../operator/problems";
import { api } from "../state/signals";
import type { AdminApi } from "../wire/api";
import type { Page } from "../wire/types";
import { endsSignIn, tellFailure } from "./tell";

export interface Loaded<T> {
  value: T | null; // null until it has been loaded once
  problem: Problem | null; // why it could not be loaded the last time
  reload: () => void;
}

/**
 * Load a value. `key` names it: another key loads anew, and shows nothing meanwhile. `everyS`: how often it is loaded
 * again while the page is seen; 0: only after `reload`. While `paused` says so, it is not loaded again by itself.
 */
export function useLoaded<T>(
  key: string,
  load: (server: AdminApi) => Promise<T>,
  everyS = 0,
  paused: () => boolean = () => false,
): Loaded<T> {
  const [shown, setShown] = useState<{ key: string; value: T | null; problem: Problem | null }>({
    key,
    value: null,
    problem: null,
  });
  const [turn, setTurn] = useState(0);
  const latest = useRef({ load, paused });
  latest.current = { load, paused };
  useEffect(() => {
    let over = false;
    let again = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      let waitS = everyS;
      const server = api.value;
      if (server === null || over) return;
      if (!document.hidden && !(again && latest.current.paused())) {
        try {
          const value = await latest.current.load(server);
          if (!over) setShown({ key, value, problem: null });
        } catch (error) {
          if (over || endsSignIn(error)) return;
          const problem = problemOf(error);
          waitS = Math.max(waitS, problem.retryAfterS ?? 0);
          setShown((before) => ({ key, value: before.key === key ? before.value : null, problem }));
        }
      }
      again = true;
      if (!over && waitS > 0) timer = setTimeout(() => void run(), waitS * 1000);
    };
    const seen = (): void => {
      if (document.hidden || everyS === 0) return;
      clearTimeout(timer);
      void run();
    };
    document.addEventListener("visibilitychange", seen);
    void run();
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [key, everyS, turn]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  return shown.key === key ? { ...shown, reload } : { value: null, problem: null, reload };
}

export interface Listed<T> extends Loaded<T[]> {
  more: (() => void) | null; // loads the next page; null on the last one
  busy: boolean; // the next page is being loaded
}

/** Load a list page by page. `key`: as for `useLoaded`. With `everyS` the first page is loaded again and again. */
export function useListed<T, P extends Page>(
  key: string,
  load: (server: AdminApi, cursor: string) => Promise<P>,
  itemsOf: (page: P) => T[],
  everyS = 0,
): Listed<T> {
  const [later, setLater] = useState<{ key: string; items: T[]; cursor: string | null } | null>(null);
  const [busy, setBusy] = useState(false);
  const after = later !== null && later.key === key ? later : null;
  // Pages follow each other only as they were when the first was loaded.
  const paused = (): boolean => after !== null || busy;
  const first = useLoaded(key, (server) => load(server, ""), everyS, paused);
  const cursor = after === null ? (first.value?.next_cursor ?? null) : after.cursor;
  const more = async (): Promise<void> => {
    const server = api.value;
    if (server === null || cursor === null) return;
    setBusy(true);
    try {
      const page = await load(server, cursor);
      setLater({ key, items: [...(after?.items ?? []), ...itemsOf(page)], cursor: page.next_cursor });
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "INVALID_CURSOR")) tellFailure(error);
    }
    setBusy(false);
  };
  return {
    value: first.value === null ? null : [...itemsOf(first.value), ...(after?.items ?? [])],
    problem: first.problem,
    reload: () => {
      setLater(null);
      first.reload();
    },
    more: cursor === null ? null : () => void more(),
    busy,
  };
}
