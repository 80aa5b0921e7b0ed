// What a view shows while there is nothing to show: it loads, it has failed, it is empty.

import type { ComponentChildren, JSX } from "preact";
import { Icon, type IconName } from "../../operator/icons";
import { texts } from "../../operator/texts";
import type { Loaded } from "../actions/loading";

const SKELETON_ROWS = 5;

interface LoadingProps<T> {
  loaded: Loaded<T>;
  children: (value: T) => ComponentChildren;
}

/** Show a value as soon as it is there. A value that cannot be loaded again stays, below the reason. */
export function Shown<T>({ loaded, children }: LoadingProps<T>): JSX.Element {
  return (
    <>
      {loaded.problem !== null && (
        <div class="card failure" role="alert">
          <div>
            <strong>{loaded.problem.title}</strong>
            {loaded.problem.detail !== "" && <p>{loaded.problem.detail}</p>}
          </div>
          <button class="outline" type="button" onClick={loaded.reload}>
            <Icon name="again" />
            {texts.value.shared.again}
          </button>
        </div>
      )}
      {loaded.value !== null ? children(loaded.value) : loaded.problem === null && <Skeleton />}
    </>
  );
}

function Skeleton(): JSX.Element {
  return (
    <div class="card skeleton" role="status" aria-label={texts.value.operatorConsole.loading}>
      {Array.from({ length: SKELETON_ROWS }, (_, row) => (
        <span key={row} />
      ))}
    </div>
  );
}

/** An empty list: what would be here, and how it comes here. */
export function Empty(props: { icon: IconName; title: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="card nothing">
      <Icon name={props.icon} />
      <strong>{props.title}</strong>
      <p>{props.children}</p>
    </div>
  );
}
