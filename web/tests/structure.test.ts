// Holds the structure that README.md describes: the direction of imports, and no dead code.

import { describe, expect, it } from "vitest";
import { findCircle, importGraph } from "./import-graph";

const code: Record<string, string> = import.meta.glob("../src/**/*.{ts,tsx}", {
  query: "?raw",
  import: "default",
  eager: true,
});
const client: Record<string, string> = import.meta.glob("../../integrations/browser/src/**/*.{ts,js}", {
  query: "?raw",
  import: "default",
  eager: true,
});
const styles: Record<string, string> = import.meta.glob("../src/**/*.css", {
  query: "?raw",
  import: "default",
  eager: true,
});
const pages: Record<string, string> = import.meta.glob(["../*.html", "../rooms/*.html"], {
  query: "?raw",
  import: "default",
  eager: true,
});
const tests: Record<string, string> = import.meta.glob("./*.ts", { query: "?raw", import: "default", eager: true });
const sources = { ...withoutPrefix(code), ...withoutPrefix(client) };

/** Folders of src, each below those that may import it. A file belongs to the longest folder that holds it. */
const LAYERS = [
  ["texts"],
  ["@client/matte", "@client/sound"],
  ["@client/viewer", "@client/channel"],
  ["@client/avatar", "@client/timings"],
  ["@client/element"],
  ["@client"],
  ["playground/sound", "room", "alpha", "operator"],
  ["playground/wire", "console/wire"],
  ["playground/session"],
  ["playground/state", "console/state"],
  ["playground/actions", "console/actions"],
  ["playground/components", "console/parts"],
  ["playground", "console/views"],
  ["console"],
];

function withoutPrefix(files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).map(([path, text]) => [
      path.replace("../../integrations/browser/src/", "@client/").replace("../src/", ""),
      text,
    ]),
  );
}

function folderOf(file: string): string {
  const holding = LAYERS.flat().filter((folder) => file.startsWith(`${folder}/`));
  return holding.reduce((longest, folder) => (folder.length > longest.length ? folder : longest), "");
}

function layerOf(folder: string): number {
  return LAYERS.findIndex((layer) => layer.includes(folder));
}

describe("imports", () => {
  it("are read from every form of import", () => {
    const graph = importGraph({
      "a/one.ts":
        'import type { X } from "../b/two";\nimport url from "./three.worklet.ts?worker&url";\nimport "preact";',
      "b/two.tsx": 'import {\n  a,\n  type B,\n} from "../a/one";\nexport { c } from "../a/three.worklet";',
      "a/three.worklet.ts": 'const later = import("./one");',
    });
    expect(graph.get("a/one.ts")).toEqual(["b/two.tsx", "a/three.worklet.ts"]);
    expect(graph.get("b/two.tsx")).toEqual(["a/one.ts", "a/three.worklet.ts"]);
    expect(graph.get("a/three.worklet.ts")).toEqual(["a/one.ts"]);
  });
  it("are searched for a circle", () => {
    const straight = { a: ["b", "c"], b: ["d"], c: ["d"], d: [] };
    expect(findCircle(new Map(Object.entries(straight)))).toBeNull();
    const circle = { a: ["b"], b: ["c"], c: ["d"], d: ["b"] };
    expect(findCircle(new Map(Object.entries(circle)))).toEqual(["b", "c", "d", "b"]);
  });
  it("form no circle", () => {
    expect(findCircle(importGraph(sources))).toBeNull();
  });
  it("lead from a folder to itself or to a lower layer", () => {
    const graph = importGraph(sources);
    expect([...graph.keys()].filter((file) => folderOf(file) === "")).toEqual([]);
    const wrong = [...graph].flatMap(([file, imported]) => {
      const folder = folderOf(file);
      const allowed = (other: string): boolean => other === folder || layerOf(other) < layerOf(folder);
      return imported.filter((other) => !allowed(folderOf(other))).map((other) => `${file} -> ${other}`);
    });
    expect(wrong).toEqual([]);
  });
});

describe("dead code", () => {
  it("has no export that no other file uses", () => {
    const all = { ...sources, ...tests };
    // A package exports for others.
    const own = Object.entries(sources).filter(([file]) => !file.startsWith("@client/"));
    const unused = own.flatMap(([file, text]) => {
      const names = [...text.matchAll(/^export (?:async )?(?:const|let|function|class|interface|type) (\w+)/gm)];
      const others = Object.entries(all).filter(([path]) => path !== file);
      const used = (name: string): boolean => others.some(([, other]) => new RegExp(`\\b${name}\\b`).test(other));
      return names.map(([, name = ""]) => name).filter((name) => !used(name));
    });
    expect(unused).toEqual([]);
  });
  it("has no CSS class and no custom property that nothing uses", () => {
    const css = Object.values(styles).join("\n");
    const users = Object.entries({ ...code, ...pages }).map(([, text]) => text);
    const used = (name: string): boolean => users.some((text) => new RegExp(`["\` ]${name}["\` ]`).test(text));
    const classes = new Set([...css.matchAll(/\.([a-z][\w-]*)(?=[^{};]*\{)/g)].map(([, name = ""]) => name));
    expect(classes.size).toBeGreaterThan(50);
    expect([...classes].filter((name) => !used(name))).toEqual([]);
    const properties = new Set([...css.matchAll(/(--[\w-]+):/g)].map(([, name = ""]) => name));
    expect([...properties].filter((name) => !css.includes(`var(${name}`))).toEqual([]);
  });
});

it.each([
  { page: "playground", most: 30, own: ["playground/state/signals.ts"] },
  { page: "console", most: 8, own: [] },
])("lets only actions change the state of the $page", ({ page, most, own }) => {
  const names = [...(sources[`${page}/state/signals.ts`] ?? "").matchAll(/^export const (\w+) = signal/gm)];
  expect(names.length).toBeGreaterThan(most);
  const assigned = new RegExp(`\\b(${names.map(([, name]) => name).join("|")})\\.value (=|\\?\\?=) `);
  const ofPage = Object.keys(sources).filter((file) => file.startsWith(`${page}/`));
  const changing = ofPage.filter((file) => assigned.test(sources[file] ?? ""));
  expect(changing.length).toBeGreaterThan(3);
  expect(changing.filter((file) => folderOf(file) !== `${page}/actions`)).toEqual(own);
});

it("moves nothing of the room page in the second in which it connects", () => {
  const animations = styles["../src/styles/room.css"]?.match(/(?<=animation: )[^;!]+/g) ?? [];
  const moving = animations.map((one) => one.trim()).filter((one) => one !== "none");
  expect(moving).not.toEqual([]);
  // The second time is the delay.
  for (const one of moving) expect(one).toMatch(/^\S+ [\d.]+s ease-in-out [1-9]\d*s infinite$/);
});

it("has no line of more than 120 columns", () => {
  const long = Object.entries({ ...code, ...styles, ...pages, ...tests }).flatMap(([file, text]) =>
    text.split("\n").flatMap((line, index) => (line.length > 120 ? [`${file}:${index + 1}`] : [])),
  );
  expect(long).toEqual([]);
});
