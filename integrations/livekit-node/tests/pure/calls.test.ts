// The agent's calls without a room: their order, and the pauses that overtake them.

import { type Room, RpcError } from "@livekit/rtc-node";
import { beforeEach, describe, expect, test } from "vitest";

import { AvatarCalls, PAUSE_TRIES } from "../../src/calls.js";
import { AvatarRefused } from "../../src/errors.js";

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("calls", () => {
  let made: string[];
  let answers: { resolve: (answer: string) => void; reject: (error: Error) => void }[];
  let calls: AvatarCalls;

  beforeEach(() => {
    [made, answers] = [[], []];
    const performRpc = ({ method }: { method: string }) => {
      made.push(method);
      return new Promise<string>((resolve, reject) => answers.push({ resolve, reject }));
    };
    calls = new AvatarCalls({ localParticipant: { performRpc } } as unknown as Room, "avatar");
  });

  async function answer(number: number, error?: Error): Promise<void> {
    await settle();
    if (error === undefined) answers[number]!.resolve("ok");
    else answers[number]!.reject(error);
    await settle();
  }

  test("keep their order, and a pause waits for none of them", async () => {
    calls.send("visavis.output", { emotion: "happy" });
    calls.send("visavis.state", { state: "thinking" });
    calls.pause(true);
    await settle();
    expect([...made].sort()).toEqual(["visavis.output", "visavis.pause"]);
    await answer(made.indexOf("visavis.output"));
    expect(made).toContain("visavis.state");
  });

  test("tell a refusal with its code", async () => {
    const refused = calls.call("visavis.output", { emotion: "bored" });
    const told = expect(refused).rejects.toMatchObject({ name: "AvatarRefused", code: "INVALID_EMOTION" });
    await answer(0, new RpcError(1500, "emotion must be one of …", "INVALID_EMOTION"));
    await told;
    await expect(refused).rejects.toBeInstanceOf(AvatarRefused);
    const next = calls.call("visavis.state"); // the one after it is made all the same
    await answer(1);
    expect(await next).toBe("ok");
  });

  test("of pauses the last one holds, and nothing is sent in vain", async () => {
    calls.pause(false); // as before each sentence
    await settle();
    expect(made).toEqual([]);
    for (const on of [true, false, true, false]) {
      calls.pause(on);
      await settle();
    }
    expect(made).toEqual(["visavis.pause"]);
    await answer(0);
    await answer(1);
    expect(made).toEqual(["visavis.pause", "visavis.resume"]);
    calls.pause(false);
    await settle();
    expect(made.length).toBe(2);
  });

  test("a resume that nobody answers is tried again within limits", async () => {
    const silent = new RpcError(1501, "Connection timeout");
    calls.pause(true);
    await answer(0);
    calls.pause(false);
    for (let number = 1; number <= PAUSE_TRIES; number++) await answer(number, silent);
    expect(made).toEqual(["visavis.pause", ...Array<string>(PAUSE_TRIES).fill("visavis.resume")]);
    calls.pause(false); // the next sentence: whether the avatar pauses is not known
    await answer(1 + PAUSE_TRIES);
    expect(made.at(-1)).toBe("visavis.resume");
  });
});
