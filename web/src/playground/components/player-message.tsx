// A message in place of the picture: why there is no picture, and what the visitor can do.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { restart } from "../actions/session";
import { avatarsState, endDetail, mustSignIn, phase, problem, room, serverProblem } from "../state/signals";
import type { Problem } from "../wire/problems";
import { SignInForm } from "./sign-in-form";

export function PlayerMessage(): JSX.Element | null {
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
        <Message title="The session has ended" detail={endDetail.value}>
          <button class="solid" type="button" onClick={restart}>
            Start again
          </button>
        </Message>
      );
    case "failed":
      return problem.value === null ? null : <Failure problem={problem.value} />;
    case "live":
      if (room.value?.kind !== "reconnecting") return null;
      return <Message title="Reconnecting" detail="The connection to the room was interrupted." busy />;
  }
}

/** The avatars could not be loaded. If waiting may help, the page tries again by itself. */
function ServerMessage({ problem: { title, detail, retryAfterS } }: { problem: Problem }): JSX.Element {
  return (
    <Message title={title} detail={detail}>
      {retryAfterS !== null && <p class="footnote">Trying again…</p>}
    </Message>
  );
}

function Loading(): JSX.Element | null {
  if (avatarsState.value === "loading") return <Message title="Loading the avatars" busy />;
  if (avatarsState.value !== "preparing") return null;
  const detail = "A new server prepares its own portraits first. This takes a few seconds.";
  return <Message title="The first avatar is being prepared" detail={detail} busy />;
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
      <div class="message" role="alert">
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
        Try again
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
  return <p class="footnote" aria-hidden="true">{`The next attempt starts in ${leftS} s`}</p>;
}
