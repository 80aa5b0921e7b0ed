// The agent's output without a room: what becomes of segments while answers are on their way.

import { voice } from "@livekit/agents";
import { AudioFrame } from "@livekit/rtc-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { AvatarOutput } from "../../src/output.js";

const frame = () => AudioFrame.create(24_000, 1, 480);

/** The avatar, as the output to it: it tells what has become of segments when the test says so. */
class Sink extends voice.AudioOutput {
  frames = 0;
  clears = 0;
  flushes = 0;

  constructor(rateHz?: number) {
    super(rateHz);
  }

  override async captureFrame(given: AudioFrame): Promise<void> {
    await super.captureFrame(given);
    this.frames += 1;
  }

  override flush(): void {
    super.flush();
    this.flushes += 1;
  }

  override clearBuffer(): void {
    this.clears += 1;
  }

  ends(playbackPosition: number, interrupted: boolean): void {
    this.onPlaybackFinished({ playbackPosition, interrupted });
  }
}

/** Let what is ready run. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("the output", () => {
  let sink: Sink;
  let paused: boolean[];
  let ends: [number, boolean][];
  let output: AvatarOutput;

  function make(clearedWithinMs?: number): void {
    [sink, paused, ends] = [new Sink(), [], []];
    const options = { pauseAvatar: (on: boolean) => paused.push(on) };
    output = new AvatarOutput(sink, clearedWithinMs === undefined ? options : { ...options, clearedWithinMs });
    output.on("playbackFinished", (event) => ends.push([event.playbackPosition, event.interrupted]));
  }

  beforeEach(() => make());
  afterEach(() => output.close());

  test("holds speech until the avatar is there, and then sends it whole", async () => {
    const captured = output.captureFrame(frame()).then(() => output.captureFrame(frame()));
    await settle();
    expect(sink.frames).toBe(0);
    output.open();
    await captured;
    output.flush();
    expect([sink.frames, sink.flushes]).toEqual([2, 1]);
    sink.ends(0.04, false);
    expect(ends).toEqual([[0.04, false]]);
  });

  test("sends what still waits to the agent's own voice when no avatar comes", async () => {
    const own = new Sink(24_000);
    const captured = output.captureFrame(frame());
    await settle();
    output.failOver(own);
    await captured;
    output.flush();
    own.ends(0.02, false);
    expect([sink.frames, own.frames]).toEqual([0, 1]);
    expect(ends).toEqual([[0.02, false]]);
  });

  test("ends what the avatar has not said when it fails, and gives the next to the agent's own voice", async () => {
    const own = new Sink();
    output.open();
    await output.captureFrame(frame());
    output.failOver(own);
    expect(ends).toEqual([[0, true]]);
    await output.captureFrame(frame()); // the rest of the same segment goes nowhere
    output.flush();
    expect(own.frames).toBe(0);
    await output.captureFrame(frame());
    output.flush();
    expect(own.frames).toBe(1);
    own.ends(0.02, false);
    expect(ends).toEqual([
      [0, true],
      [0.02, false],
    ]);
  });

  test("clears once, though it is told twice, and sends nothing after it", async () => {
    output.open();
    await output.captureFrame(frame());
    output.clearBuffer();
    await output.captureFrame(frame());
    output.flush();
    output.clearBuffer();
    expect([sink.clears, sink.frames, sink.flushes]).toEqual([1, 1, 1]);
    sink.ends(0.01, true);
    output.clearBuffer();
    expect(sink.clears).toBe(1);
    expect(ends).toEqual([[0.01, true]]);
  });

  test("releases speech that waits when it is cleared", async () => {
    const captured = output.captureFrame(frame());
    await settle();
    output.clearBuffer();
    await captured;
    output.flush();
    expect([sink.frames, sink.clears]).toEqual([0, 0]);
    expect(ends).toEqual([[0, true]]);
  });

  test("ends a pause with what an interruption stops", async () => {
    output.open();
    await output.captureFrame(frame());
    output.flush();
    output.pause();
    output.clearBuffer();
    expect([sink.clears, paused]).toEqual([1, [true]]); // while the clear is on its way nothing may sound again
    sink.ends(0.01, true);
    expect(paused).toEqual([true, false]);
  });

  test("lets a segment that begins in a pause wait", async () => {
    output.open();
    output.pause();
    const captured = output.captureFrame(frame());
    await settle();
    expect([paused, sink.frames]).toEqual([[], 0]);
    output.resume();
    await captured;
    output.flush();
    expect(sink.frames).toBe(1);
  });

  for (const endsLate of [true, false]) {
    test(`a segment that was given up ${endsLate ? "and ends late" : "and never ends"} holds up no other`, async () => {
      output.close();
      make(0);
      output.open();
      await output.captureFrame(frame());
      output.flush();
      output.clearBuffer();
      while (ends.length === 0) await settle();
      await output.captureFrame(frame());
      output.flush();
      if (endsLate) sink.ends(0.01, true);
      expect(ends).toEqual([[0, true]]); // the late end is not that of the next segment
      sink.ends(0.02, false);
      expect(ends).toEqual([
        [0, true],
        [0.02, false],
      ]);
    });
  }

  test("is silent at once when the session sends no sound any more, and speaks again afterwards", async () => {
    output.open();
    await output.captureFrame(frame());
    output.onDetached();
    await output.captureFrame(frame());
    expect([sink.frames, sink.clears]).toEqual([1, 1]);
    output.flush();
    sink.ends(0.01, true);
    output.onAttached();
    await output.captureFrame(frame());
    expect(sink.frames).toBe(2);
  });

  test("ends a segment that cannot be sent, and the next one is sent", async () => {
    output.open();
    const send = sink.captureFrame.bind(sink);
    sink.captureFrame = async () => Promise.reject(new Error("the room was left"));
    await output.captureFrame(frame());
    await output.captureFrame(frame());
    output.flush();
    expect(ends).toEqual([[0, true]]);
    sink.captureFrame = send;
    await output.captureFrame(frame());
    output.flush();
    sink.ends(0.02, false);
    expect(ends.at(-1)).toEqual([0.02, false]);
  });

  test("gives a sink the rate that it takes", async () => {
    const own = new Sink(48_000);
    const rates: number[] = [];
    own.captureFrame = async (given) => void rates.push(given.sampleRate);
    output.failOver(own);
    for (let number = 0; number < 10; number++) await output.captureFrame(frame());
    expect(new Set(rates)).toEqual(new Set([48_000]));
  });
});
