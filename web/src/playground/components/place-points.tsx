// The dialog in which the visitor marks a face with seven points: by dragging their handles, or by the arrow keys.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { closePointsDialog, uploadPhoto } from "../actions/photos";
import { texts } from "../../operator/texts";
import { insidePicture, movedByKey, POINTS } from "../state/photo-points";
import { type UnplacedPhoto, unplacedPhoto } from "../state/signals";
import type { Point, Points } from "../wire/types";

const LINES = [
  ["left_eye", "right_eye"],
  ["mouth_left", "upper_lip", "mouth_right", "lower_lip", "mouth_left"],
];
const CENTRE: Point = [0.5, 0.5];

export function PlacePoints(): JSX.Element | null {
  const photo = unplacedPhoto.value;
  return photo?.dialogOpen === true ? <Dialog photo={photo} /> : null;
}

function Dialog({ photo: { file, points: first, refusal } }: { photo: UnplacedPhoto }): JSX.Element {
  const t = texts.value.playground.points;
  const dialog = useRef<HTMLDialogElement>(null);
  const [points, setPoints] = useState<Points>(first);

  useEffect(() => dialog.current?.showModal(), []);

  return (
    <dialog
      ref={dialog}
      class="place-points"
      aria-labelledby="place-points-title"
      onClose={() => closePointsDialog(points)}
    >
      <h2 id="place-points-title">{t.title}</h2>
      <p>
        {t.drag} <span class="with-mouse">{t.keys} </span>
        {t.sides}
      </p>
      {refusal !== null && (
        <p class="refused" role="alert">
          {refusal}.
        </p>
      )}
      <Picture
        file={file}
        points={points}
        move={(name, point) => setPoints((before) => ({ ...before, [name]: insidePicture(point) }))}
      />
      <div class="actions">
        <button class="control" type="button" onClick={() => dialog.current?.close()}>
          {texts.value.shared.cancel}
        </button>
        <button class="solid" type="button" onClick={() => void uploadPhoto(file, points)}>
          {t.make}
        </button>
      </div>
    </dialog>
  );
}

interface PictureProps {
  file: File;
  points: Points;
  move(name: string, point: Point): void;
}

function Picture({ file, points, move }: PictureProps): JSX.Element {
  const t = texts.value.playground.points;
  const picture = useRef<HTMLDivElement>(null);
  const [aspect, setAspect] = useState(1);
  const grabbed = useRef<Point>([0, 0]); // from the pointer to the point, so that the point does not jump when taken
  const address = useMemo(() => URL.createObjectURL(file), [file]);

  useEffect(() => () => URL.revokeObjectURL(address), [address]);

  const positionOf = (event: PointerEvent): Point => {
    const box = picture.current?.getBoundingClientRect() ?? new DOMRect(0, 0, 1, 1);
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const grab = (point: Point, event: PointerEvent): void => {
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    const [x, y] = positionOf(event);
    grabbed.current = [point[0] - x, point[1] - y];
  };
  const drag = (name: string, event: PointerEvent): void => {
    if (!(event.currentTarget as Element).hasPointerCapture(event.pointerId)) return;
    const [x, y] = positionOf(event);
    move(name, [x + grabbed.current[0], y + grabbed.current[1]]);
  };

  return (
    <div class="picture" ref={picture} style={{ "--aspect": aspect }}>
      <img
        src={address}
        alt={t.photo}
        draggable={false}
        onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) => setAspect(naturalWidth / naturalHeight)}
      />
      <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
        {LINES.map((names) => (
          <polyline key={names[0]} points={names.map((name) => points[name]?.join(",")).join(" ")} />
        ))}
      </svg>
      {POINTS.map(({ name, grip }) => {
        const label = t.names[name];
        const point = points[name] ?? CENTRE;
        const [x, y] = point;
        return (
          <button
            key={name}
            type="button"
            class="handle"
            style={{ "--x": x, "--y": y }}
            data-grip={grip}
            aria-label={t.place(label, Math.round(x * 100), Math.round(y * 100))}
            data-point={name}
            onPointerDown={(event) => grab(point, event)}
            onPointerMove={(event) => drag(name, event)}
            onKeyDown={(event) => {
              const moved = movedByKey(point, event.key, event.shiftKey);
              if (moved === null) return;
              event.preventDefault();
              move(name, moved);
            }}
          >
            <span>{label}</span>
          </button>
        );
      })}
    </div>
  );
}
