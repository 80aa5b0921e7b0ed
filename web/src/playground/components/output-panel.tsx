// The Output tab: background, framing, emotion and state. Every change applies to the live session at once.

import type { CSSProperties, JSX } from "preact";
import { changeFormat, changeOutput, setAgentState, setBackgroundImage } from "../actions/output";
import { BACKGROUNDS, COLORS, DEFAULT_COLOR, DEFAULT_FORMAT, EMOTIONS, FORMATS } from "../state/output";
import { agentState, canSpeak, format, output } from "../state/signals";
import { serverAddress } from "../../operator/server-address";
import type { Background, SettableState } from "../wire/types";
import { FilePicker, useFilePicker } from "./file-picker";
import { Icon } from "../../operator/icons";
import { Sentence } from "../../operator/sentence";
import { decimal, texts } from "../../operator/texts";

const STATES: readonly SettableState[] = ["listening", "thinking"];

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
  const t = texts.value.playground.output;
  const { background } = output.value;
  return (
    <fieldset>
      <legend>{t.background}</legend>
      <div class="backgrounds">
        {BACKGROUNDS.map((type) => (
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
            <span>{t.backgrounds[type]}</span>
          </label>
        ))}
      </div>
      <FilePicker picker={picker} label={t.image} accept="image/*" chosen={(file) => void setBackgroundImage(file)} />
      {background.type === "color" && <ColorChoice color={background.color} />}
      {background.type === "blur" && (
        <Slider
          label={t.strength}
          min={0.1}
          max={1}
          value={background.strength}
          display={percent}
          change={(strength) => changeOutput({ background: { type: "blur", strength } })}
        />
      )}
      {background.type === "transparent" && (
        <p class="hint">
          <Sentence text={t.transparentHint} script={<a href={serverAddress("/alpha.js")}>alpha.js</a>} />
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
  const t = texts.value.playground.output;
  const change = (color: string): void => changeOutput({ background: { type: "color", color } });
  return (
    <div class="colors" role="group" aria-label={t.color}>
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
        aria-label={t.otherColor}
        title={t.otherColor}
        value={chosen}
        onInput={(event) => change(event.currentTarget.value)}
      />
    </div>
  );
}

function FramingChoice(): JSX.Element {
  const t = texts.value.playground.output;
  return (
    <fieldset>
      <legend>{t.framing}</legend>
      <div class="line">
        <label>
          <span>{t.format}</span>
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
        label={t.zoom}
        min={0.6}
        max={1.6}
        value={output.value.framing.zoom}
        display={(value) => `${decimal(value, 2, 2)} ×`}
        change={(zoom) => changeOutput({ framing: { zoom } })}
      />
    </fieldset>
  );
}

function EmotionChoice(): JSX.Element {
  const t = texts.value.playground.output;
  const { name: chosen, weight } = output.value.emotion;
  return (
    <fieldset>
      <legend>{t.emotion}</legend>
      <div class="choices">
        {EMOTIONS.map((name) => (
          <label key={name} class="choice">
            <input
              type="radio"
              name="emotion"
              checked={chosen === name}
              onChange={() => changeOutput({ emotion: { name, weight: name === "neutral" ? 1 : weight } })}
            />
            <span>{t.emotions[name]}</span>
          </label>
        ))}
      </div>
      {chosen !== "neutral" && (
        <Slider
          label={t.strength}
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
  const t = texts.value.playground.output;
  return (
    <fieldset>
      <legend>{t.state}</legend>
      <div class="choices">
        {STATES.map((state) => (
          <button
            key={state}
            class="choice-button"
            type="button"
            disabled={!canSpeak.value}
            aria-pressed={agentState.value === state}
            onClick={() => setAgentState(state)}
          >
            {t[state]}
          </button>
        ))}
        <span class="hint">{t.untilSpeech}</span>
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
