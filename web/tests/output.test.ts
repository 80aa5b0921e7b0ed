import { describe, expect, it } from "vitest";
import { OutputUpdates } from "../src/playground/session/output-updates";
import { changedOutput, DEFAULT_OUTPUT } from "../src/playground/state/output";
import type { Output } from "../src/playground/wire/types";

const zoom = (value: number): Partial<Output> => ({ framing: { zoom: value } });
const HAPPY: Partial<Output> = { emotion: { name: "happy", weight: 1 } };

describe("changes of the output", () => {
  it("are sent one at a time; waiting changes are merged", () => {
    const sent: Partial<Output>[] = [];
    const updates = new OutputUpdates((change) => sent.push(change) > 0);
    for (const value of [1.1, 1.2, 1.3]) updates.change(zoom(value));
    updates.change(HAPPY);
    expect(sent).toEqual([zoom(1.1)]);
    updates.answered();
    expect(sent).toEqual([zoom(1.1), { ...zoom(1.3), ...HAPPY }]);
    updates.answered();
    expect(sent).toHaveLength(2);
  });
  it("wait for the channel", () => {
    const sent: Partial<Output>[] = [];
    let ready = false;
    const updates = new OutputUpdates((change) => ready && sent.push(change) > 0);
    updates.change(zoom(1.1));
    updates.change(HAPPY);
    ready = true;
    updates.connected();
    expect(sent).toEqual([{ ...zoom(1.1), ...HAPPY }]);
  });
  it("are sent again after a broken channel, unless they were answered or replaced", () => {
    const sent: Partial<Output>[] = [];
    const updates = new OutputUpdates((change) => sent.push(change) > 0);
    updates.change({ ...zoom(1.1), ...HAPPY });
    updates.change(zoom(1.2));
    updates.interrupted();
    updates.connected();
    expect(sent.at(-1)).toEqual({ ...zoom(1.2), ...HAPPY });
    updates.answered();
    updates.interrupted();
    updates.connected();
    expect(sent).toHaveLength(2);
  });
});

it("names only what differs from the default output", () => {
  expect(changedOutput(DEFAULT_OUTPUT)).toBeUndefined();
  expect(changedOutput({ ...DEFAULT_OUTPUT, ...HAPPY })).toEqual(HAPPY);
});
