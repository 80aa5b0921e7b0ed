// Seven handles on a photo in which no face was found: dragged, or moved by arrow keys.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { uploadPhoto } from "../avatars";
import { POINTS, type Place, type Points, startingPoints, stepped, unfound, within } from "../photo";

export function PlacePoints(): JSX.Element | null {
  const current = unfound.value;
  return current?.open ? <Dialog file={current.file} /> : null;
}

function Dialog({ file }: { file: File }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const picture = useRef<HTMLDivElement>(null);
  const [points, setPoints] = useState<Points>(startingPoints);
  const address = useMemo(() => URL.createObjectURL(file), [file]);

  useEffect(() => {
    dialog.current?.showModal();
    return () => URL.revokeObjectURL(address);
  }, [address]);

  const move = (name: string, place: Place): void => setPoints((before) => ({ ...before, [name]: within(place) }));
  const dragged = (name: string, event: PointerEvent): void => {
    const box = picture.current?.getBoundingClientRect();
    if (box === undefined || !(event.currentTarget as Element).hasPointerCapture(event.pointerId)) return;
    move(name, [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
  };
  const close = (): void => void (unfound.value = { file, open: false });
  const send = (): void => {
    unfound.value = null;
    void uploadPhoto(file, points);
  };

  return (
    <dialog ref={dialog} class="place-points" aria-labelledby="place-points-title" onClose={close}>
      <h2 id="place-points-title">Show where the face is</h2>
      <p>Drag the seven points, or choose one with Tab and move it with the arrow keys. Left and right are as you see them.</p>
      <div class="picture" ref={picture}>
        <img src={address} alt="Your photo" draggable={false} />
        <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
          {[["left_eye", "right_eye"], ["mouth_left", "upper_lip", "mouth_right", "lower_lip", "mouth_left"]].map((names) => (
            <polyline key={names[0]} points={names.map((name) => points[name]?.join(",")).join(" ")} />
          ))}
        </svg>
        {POINTS.map(({ name, label }) => {
          const [x, y] = points[name] ?? [0.5, 0.5];
          return (
            <button
              key={name}
              type="button"
              class="handle"
              style={{ left: `${x * 100}%`, top: `${y * 100}%` }}
              aria-label={`${label}: ${Math.round(x * 100)} % from the left, ${Math.round(y * 100)} % from above`}
              title={label}
              data-point={name}
              onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
              onPointerMove={(event) => dragged(name, event)}
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
        <button type="button" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button class="solid" type="button" onClick={send}>
          Make the avatar
        </button>
      </div>
    </dialog>
  );
}
