// How the avatar looks: background, format, nearness, expression and state; all of it while it is live.

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { attend, attitude, EMOTIONS, format, FORMATS, look, output, reshape, takePicture, USUAL_FORMAT, type Background } from "../scene";
import { canSpeak } from "../state";
import { Icon } from "./icons";

const COLORS = ["#f4f1ea", "#c9d6df", "#7fa08c", "#345c7d", "#2b2a33"];
const GROUNDS: readonly (readonly [Background["type"], string])[] = [
  ["photo", "Photo"],
  ["blur", "Blur"],
  ["color", "Colour"],
  ["image", "Picture"],
  ["transparent", "None"],
];

export function LookPanel(): JSX.Element {
  return (
    <div class="look">
      <Ground />
      <Frame />
      <Expression />
      <State />
    </div>
  );
}

function Ground(): JSX.Element {
  const picker = useRef<HTMLInputElement>(null);
  const background = output.value.background;
  const choose = (type: Background["type"]): void => {
    if (type === "image") picker.current?.click();
    else if (type === "color") look({ background: { type, color: COLORS[1]! } });
    else if (type === "blur") look({ background: { type, strength: 0.5 } });
    else if (type === "photo" || type === "transparent") look({ background: { type } });
  };
  return (
    <fieldset>
      <legend>Background</legend>
      <div class="grounds">
        {GROUNDS.map(([type, name]) => (
          <label key={type} class="ground" data-ground={type}>
            <input
              type="radio"
              name="ground"
              value={type}
              checked={background.type === type}
              onClick={(event) => {
                if (type !== "image") return;
                event.preventDefault(); // chosen once there is a picture
                choose(type);
              }}
              onChange={() => type !== "image" && choose(type)}
            />
            <span
              class="swatch"
              aria-hidden="true"
              style={type === "image" && background.type === "image" ? { backgroundImage: `url(${background.image})` } : type === "color" && background.type === "color" ? { backgroundColor: background.color } : {}}
            >
              {type === "image" && background.type !== "image" && <Icon name="plus" />}
            </span>
            <span>{name}</span>
          </label>
        ))}
      </div>
      <input
        ref={picker}
        class="visually-hidden"
        type="file"
        accept="image/*"
        tabIndex={-1}
        aria-label="Picture for the background"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = "";
          if (file !== undefined) void takePicture(file);
        }}
      />
      {background.type === "color" && (
        <div class="colors" role="group" aria-label="Colour">
          {COLORS.map((color) => (
            <button
              key={color}
              class="color"
              type="button"
              aria-label={color}
              aria-pressed={background.color === color}
              style={{ backgroundColor: color }}
              onClick={() => look({ background: { type: "color", color } })}
            />
          ))}
          <input type="color" aria-label="Another colour" value={background.color} onInput={(event) => look({ background: { type: "color", color: event.currentTarget.value } })} />
        </div>
      )}
      {background.type === "blur" && (
        <Slider name="Strength" least={0.1} most={1} value={background.strength} shown={(value) => `${Math.round(100 * value)} %`} set={(strength) => look({ background: { type: "blur", strength } })} />
      )}
      {background.type === "transparent" && (
        <p class="hint">
          The page shows through. In yours, <a href="/alpha.js">alpha.js</a> does it.
        </p>
      )}
    </fieldset>
  );
}

function Frame(): JSX.Element {
  return (
    <fieldset>
      <legend>Picture</legend>
      <div class="line">
        <label>
          <span>Format</span>
          <select value={format.value.name} onChange={(event) => reshape(FORMATS.find(({ name }) => name === event.currentTarget.value) ?? USUAL_FORMAT)}>
            {FORMATS.map(({ name, width, height }) => (
              <option key={name} value={name}>{`${name} · ${width} × ${height}`}</option>
            ))}
          </select>
        </label>
      </div>
      <Slider name="Nearness" least={0.6} most={1.6} value={output.value.framing.zoom} shown={(value) => `${value.toFixed(2)} ×`} set={(zoom) => look({ framing: { zoom } })} />
    </fieldset>
  );
}

function Expression(): JSX.Element {
  const { name: chosen, weight } = output.value.emotion;
  return (
    <fieldset>
      <legend>Expression</legend>
      <div class="choices">
        {EMOTIONS.map((name) => (
          <label key={name} class="choice">
            <input type="radio" name="emotion" checked={chosen === name} onChange={() => look({ emotion: { name, weight: name === "neutral" ? 1 : weight } })} />
            <span>{name[0]!.toUpperCase() + name.slice(1)}</span>
          </label>
        ))}
      </div>
      {chosen !== "neutral" && <Slider name="How much" least={0.1} most={1} value={weight} shown={(value) => `${Math.round(100 * value)} %`} set={(value) => look({ emotion: { name: chosen, weight: value } })} />}
    </fieldset>
  );
}

function State(): JSX.Element {
  return (
    <fieldset>
      <legend>State</legend>
      <div class="choices">
        {(["listening", "thinking"] as const).map((state) => (
          <button key={state} class="choice-button" type="button" disabled={!canSpeak.value} aria-pressed={attitude.value === state} onClick={() => attend(state)}>
            {state === "listening" ? "Listen" : "Think"}
          </button>
        ))}
        <span class="hint">Until it speaks.</span>
      </div>
    </fieldset>
  );
}

interface SliderProps {
  name: string;
  least: number;
  most: number;
  value: number;
  shown: (value: number) => string;
  set: (value: number) => void;
}

function Slider({ name, least, most, value, shown, set }: SliderProps): JSX.Element {
  return (
    <div class="line">
      <label>
        <span>{name}</span>
        <input type="range" min={least} max={most} step={0.05} value={value} aria-valuetext={shown(value)} onInput={(event) => set(event.currentTarget.valueAsNumber)} />
        <output>{shown(value)}</output>
      </label>
    </div>
  );
}
