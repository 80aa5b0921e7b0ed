// Seven handles on a photo in which no face was found: dragged, or moved by arrow keys.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { uploadPhoto } from "../avatars";
import { POINTS, type Place, type Points, stepped, type Unfound, unfound, within } from "../photo";

export function PlacePoints(): JSX.Element | null {
  const current = unfound.value;
  return current?.open ? <Dialog of={current} /> : null;
}

function Dialog({ of: { file, points: first, problem } }: { of: Unfound }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const picture = useRef<HTMLDivElement>(null);
  const [points, setPoints] = useState<Points>(first);
  const [aspect, setAspect] = useState(1);
  const grabbed = useRef<Place>([0, 0]); // from the pointer to the point, in parts of the picture: a grip does not jump when it is taken
  const address = useMemo(() => URL.createObjectURL(file), [file]);

  useEffect(() => {
    dialog.current?.showModal();
    return () => URL.revokeObjectURL(address);
  }, [address]);

  const move = (name: string, place: Place): void => setPoints((before) => ({ ...before, [name]: within(place) }));
  const pointed = (event: PointerEvent): Place => {
    const box = picture.current?.getBoundingClientRect() ?? new DOMRect(0, 0, 1, 1);
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const grab = (place: Place, event: PointerEvent): void => {
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    const [x, y] = pointed(event);
    grabbed.current = [place[0] - x, place[1] - y];
  };
  const drag = (name: string, event: PointerEvent): void => {
    if (!(event.currentTarget as Element).hasPointerCapture(event.pointerId)) return;
    const [x, y] = pointed(event);
    move(name, [x + grabbed.current[0], y + grabbed.current[1]]);
  };
  const close = (): void => void (unfound.value = { file, open: false, points, problem: null });
  const send = (): void => {
    unfound.value = null;
    void uploadPhoto(file, points);
  };

  return (
    <dialog ref={dialog} class="place-points" aria-labelledby="place-points-title" onClose={close}>
      <h2 id="place-points-title">Show where the face is</h2>
      <p>
        Drag the seven points<span class="with-mouse">, or choose one with Tab and move it with the arrow keys</span>. Left and right are as you see them.
      </p>
      {problem !== null && (
        <p class="refused" role="alert">
          {problem}.
        </p>
      )}
      <div class="picture" ref={picture} style={{ "--aspect": aspect }}>
        <img
          src={address}
          alt="Your photo"
          draggable={false}
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) => setAspect(naturalWidth / naturalHeight)}
        />
        <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
          {[["left_eye", "right_eye"], ["mouth_left", "upper_lip", "mouth_right", "lower_lip", "mouth_left"]].map((names) => (
            <polyline key={names[0]} points={names.map((name) => points[name]?.join(",")).join(" ")} />
          ))}
        </svg>
        {POINTS.map(({ name, label, grip }) => {
          const [x, y] = points[name] ?? [0.5, 0.5];
          return (
            <button
              key={name}
              type="button"
              class="handle"
              style={{ "--x": x, "--y": y }}
              data-grip={grip}
              aria-label={`${label}: ${Math.round(x * 100)} % from the left, ${Math.round(y * 100)} % from above`}
              data-point={name}
              onPointerDown={(event) => grab([x, y], event)}
              onPointerMove={(event) => drag(name, event)}
              onKeyDown={(event) => {
                const next = stepped([x, y], event.key, event.shiftKey);
                if (next === null) return;
                event.preventDefault();
                move(name, next);
              }}
            >
              <span>{label}</span>
            </button>
          );
        })}
      </div>
      <div class="actions">
        <button class="control" type="button" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button class="solid" type="button" onClick={send}>
          Make the avatar
        </button>
      </div>
    </dialog>
  );
}
