// The Output tab: background, framing, emotion and state. Every change applies to the live session at once.

import type { CSSProperties, JSX } from "preact";
import { changeFormat, changeOutput, setAgentState, setBackgroundImage } from "../actions/output";
import { BACKGROUNDS, COLORS, DEFAULT_COLOR, DEFAULT_FORMAT, EMOTIONS, FORMATS } from "../state/output";
import { agentState, canSpeak, format, output } from "../state/signals";
import { serverAddress } from "../wire/server-address";
import type { Background, SettableState } from "../wire/types";
import { FilePicker, useFilePicker } from "./file-picker";
import { Icon } from "./icons";

const STATES: readonly (readonly [state: SettableState, label: string])[] = [
  ["listening", "Listening"],
  ["thinking", "Thinking"],
];

export function OutputPanel(): JSX.Element {
  return (
    <div class="output">
      <BackgroundChoice />
      <FramingChoice />
      <EmotionChoice />
      <StateChoice />
    </div>
  );
}

function BackgroundChoice(): JSX.Element {
  const picker = useFilePicker();
  const { background } = output.value;
  return (
    <fieldset>
      <legend>Background</legend>
      <div class="backgrounds">
        {BACKGROUNDS.map(([type, label]) => (
          <label key={type} class="background" data-background={type}>
            <input
              type="radio"
              name="background"
              value={type}
              checked={background.type === type}
              onClick={(event) => {
                if (type !== "image") return;
                event.preventDefault(); // the choice changes once a file is chosen
                picker.open();
              }}
              onChange={() => {
                const chosen = backgroundOf(type);
                if (chosen !== null) changeOutput({ background: chosen });
              }}
            />
            <span class="swatch" aria-hidden="true" style={swatchStyle(type, background)}>
              {type === "image" && background.type !== "image" && <Icon name="plus" />}
            </span>
            <span>{label}</span>
          </label>
        ))}
      </div>
      <FilePicker
        picker={picker}
        label="Background image"
        accept="image/*"
        chosen={(file) => void setBackgroundImage(file)}
      />
      {background.type === "color" && <ColorChoice color={background.color} />}
      {background.type === "blur" && (
        <Slider
          label="Strength"
          min={0.1}
          max={1}
          value={background.strength}
          display={percent}
          change={(strength) => changeOutput({ background: { type: "blur", strength } })}
        />
      )}
      {background.type === "transparent" && (
        <p class="hint">
          The page behind the avatar shows. Your own page needs <a href={serverAddress("/alpha.js")}>alpha.js</a> for
          that.
        </p>
      )}
    </fieldset>
  );
}

/** A background of this type with its first values; null for an image, which needs a file. */
function backgroundOf(type: Background["type"]): Background | null {
  switch (type) {
    case "image":
      return null;
    case "color":
      return { type, color: DEFAULT_COLOR };
    case "blur":
      return { type, strength: 0.5 };
    default:
      return { type };
  }
}

/** The chosen colour or image; the style sheet has the other swatches. */
function swatchStyle(type: Background["type"], chosen: Background): CSSProperties {
  if (type === "image" && chosen.type === "image") return { backgroundImage: `url(${chosen.image})` };
  if (type === "color" && chosen.type === "color") return { background: chosen.color };
  return {};
}

function ColorChoice({ color: chosen }: { color: string }): JSX.Element {
  const change = (color: string): void => changeOutput({ background: { type: "color", color } });
  return (
    <div class="colors" role="group" aria-label="Colour">
      {COLORS.map((color) => (
        <button
          key={color}
          class="color"
          type="button"
          aria-label={color}
          aria-pressed={chosen === color}
          style={{ backgroundColor: color }}
          onClick={() => change(color)}
        />
      ))}
      <input
        type="color"
        aria-label="Another colour"
        title="Another colour"
        value={chosen}
        onInput={(event) => change(event.currentTarget.value)}
      />
    </div>
  );
}

function FramingChoice(): JSX.Element {
  return (
    <fieldset>
      <legend>Framing</legend>
      <div class="line">
        <label>
          <span>Format</span>
          <select
            value={format.value.name}
            onChange={({ currentTarget: { value } }) =>
              changeFormat(FORMATS.find(({ name }) => name === value) ?? DEFAULT_FORMAT)
            }
          >
            {FORMATS.map(({ name, width, height }) => (
              <option key={name} value={name}>{`${name} · ${width} × ${height}`}</option>
            ))}
          </select>
        </label>
      </div>
      <Slider
        label="Zoom"
        min={0.6}
        max={1.6}
        value={output.value.framing.zoom}
        display={(value) => `${value.toFixed(2)} ×`}
        change={(zoom) => changeOutput({ framing: { zoom } })}
      />
    </fieldset>
  );
}

function EmotionChoice(): JSX.Element {
  const { name: chosen, weight } = output.value.emotion;
  return (
    <fieldset>
      <legend>Emotion</legend>
      <div class="choices">
        {EMOTIONS.map((name) => (
          <label key={name} class="choice">
            <input
              type="radio"
              name="emotion"
              checked={chosen === name}
              onChange={() => changeOutput({ emotion: { name, weight: name === "neutral" ? 1 : weight } })}
            />
            <span>{capitalised(name)}</span>
          </label>
        ))}
      </div>
      {chosen !== "neutral" && (
        <Slider
          label="Strength"
          min={0.1}
          max={1}
          value={weight}
          display={percent}
          change={(value) => changeOutput({ emotion: { name: chosen, weight: value } })}
        />
      )}
    </fieldset>
  );
}

function StateChoice(): JSX.Element {
  return (
    <fieldset>
      <legend>State</legend>
      <div class="choices">
        {STATES.map(([state, label]) => (
          <button
            key={state}
            class="choice-button"
            type="button"
            disabled={!canSpeak.value}
            aria-pressed={agentState.value === state}
            onClick={() => setAgentState(state)}
          >
            {label}
          </button>
        ))}
        <span class="hint">until the avatar speaks</span>
      </div>
    </fieldset>
  );
}

interface SliderProps {
  label: string;
  min: number;
  max: number;
  value: number;
  display(value: number): string;
  change(value: number): void;
}

function Slider({ label, min, max, value, display, change }: SliderProps): JSX.Element {
  return (
    <div class="line">
      <label>
        <span>{label}</span>
        <input
          type="range"
          min={min}
          max={max}
          step={0.05}
          value={value}
          aria-valuetext={display(value)}
          onInput={(event) => change(event.currentTarget.valueAsNumber)}
        />
        <output>{display(value)}</output>
      </label>
    </div>
  );
}

function percent(fraction: number): string {
  return `${Math.round(100 * fraction)} %`;
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
