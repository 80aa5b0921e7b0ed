// A message in place of the picture: why there is no picture, and what the visitor can do.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { restart } from "../actions/session";
import { avatarsState, endDetail, mustSignIn, phase, problem, room, serverProblem } from "../state/signals";
import type { Problem } from "../../operator/problems";
import { texts } from "../../operator/texts";
import { SignInForm } from "./sign-in-form";

export function PlayerMessage(): JSX.Element | null {
  const t = texts.value.playground.player;
  if (mustSignIn.value) return <SignInForm />;
  if (serverProblem.value !== null) return <ServerMessage problem={serverProblem.value} />;
  switch (phase.value) {
    case "idle":
      return <Loading />;
    case "starting":
    case "connecting":
      return <div class="sweep" aria-hidden="true" />;
    case "ended":
      return (
        <Message title={t.sessionEnded} detail={endDetail.value}>
          <button class="solid" type="button" onClick={restart}>
            {t.startAgain}
          </button>
        </Message>
      );
    case "failed":
      return problem.value === null ? null : <Failure problem={problem.value} />;
    case "live":
      if (room.value?.kind !== "reconnecting") return null;
      return <Message title={t.reconnecting} detail={t.interrupted} busy />;
  }
}

/** The avatars could not be loaded. If waiting may help, the page tries again by itself. */
function ServerMessage({ problem: { title, detail, retryAfterS } }: { problem: Problem }): JSX.Element {
  return (
    <Message title={title} detail={detail}>
      {retryAfterS !== null && <p class="footnote">{texts.value.playground.player.tryingAgain}</p>}
    </Message>
  );
}

function Loading(): JSX.Element | null {
  const t = texts.value.playground.player;
  if (avatarsState.value === "loading") return <Message title={t.loading} busy />;
  if (avatarsState.value !== "preparing") return null;
  return <Message title={t.preparing} detail={t.preparingDetail} busy />;
}

interface MessageProps {
  title: string;
  detail?: string;
  busy?: boolean;
  children?: ComponentChildren;
}

function Message({ title, detail = "", busy = false, children }: MessageProps): JSX.Element {
  return (
    <div class="overlay">
      <div class="message" role={busy ? "status" : "alert"}>
        {busy && <span class="breath" aria-hidden="true" />}
        <h2>{title}</h2>
        {detail !== "" && <p>{detail}</p>}
        {children}
      </div>
    </div>
  );
}

/** A session that could not be opened. If waiting may help, the page tries again by itself. */
function Failure({ problem: { title, detail, retryAfterS } }: { problem: Problem }): JSX.Element {
  return (
    <Message title={title} detail={detail}>
      <button class="solid" type="button" onClick={restart}>
        {texts.value.shared.again}
      </button>
      {retryAfterS !== null && <Countdown fromS={retryAfterS} done={restart} />}
    </Message>
  );
}

function Countdown({ fromS, done }: { fromS: number; done: () => void }): JSX.Element {
  const [leftS, setLeftS] = useState(Math.ceil(fromS));
  useEffect(() => {
    const timer = setTimeout(() => (leftS > 0 ? setLeftS(leftS - 1) : done()), leftS > 0 ? 1_000 : 0);
    return () => clearTimeout(timer);
  }, [leftS]);
  return (
    <p class="footnote" aria-hidden="true">
      {texts.value.playground.player.nextAttempt(leftS)}
    </p>
  );
}
