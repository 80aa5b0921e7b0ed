// Every text of the pages is in the files of texts, and every language has all of them.

import ts from "typescript";
import { describe, expect, it } from "vitest";
import * as de from "../src/texts/de";
import * as en from "../src/texts/en";
import { languageFor } from "../src/texts/language";

const code: Record<string, string> = import.meta.glob(["../src/**/*.{ts,tsx}", "!../src/texts/*"], {
  query: "?raw",
  import: "default",
  eager: true,
});
const pages: Record<string, string> = import.meta.glob(["../*.html", "../rooms/*.html"], {
  query: "?raw",
  import: "default",
  eager: true,
});

/** What is written the same in every language: names, units, samples of code. */
const SAME = new Set(["Visavis", "curl", "JavaScript", "alpha.js", "kB", "MB", "ms", "s", "min", "Mbit/s", "fps"]);
/** Examples of what a person may type. */
const EXAMPLES = ["ah_live_…", "https://www.example.com/webhooks", "starter", "Starter"];
/** Files whose strings are code, or the wire's own words, and no texts of the page. */
const NO_TEXTS = ["components/code-samples.ts", "wire/", "viewer/", "session/session-run.ts", "matte/", "alpha/"];
/** Attributes and properties whose strings a person sees or hears. */
const SEEN = new Set([
  "title",
  "alt",
  "placeholder",
  "label",
  "aria-label",
  "note",
  "hint",
  "text",
  "detail",
  "headline",
]);

/** The texts in a source file: those between tags, those of seen attributes, and strings that look like a sentence. */
function textsIn(path: string, source: string): string[] {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const found: string[] = [];
  const note = (text: string): void => {
    const words = text.replaceAll(/&\w+;/g, "").trim();
    if (/\p{L}{2}/u.test(words) && !SAME.has(words) && !EXAMPLES.includes(words)) found.push(`${path}: ${words}`);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isJsxElement(node) && node.openingElement.tagName.getText(file) === "code") return;
    if (ts.isJsxText(node)) note(node.text);
    const text = stringOf(node);
    if (text !== null) {
      const place = placeOf(node, file);
      if (SEEN.has(place) || (place !== "class" && !ts.isNewExpression(node.parent) && isSentence(text))) note(text);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function stringOf(node: ts.Node): string | null {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return null;
  return [node.head.text, ...node.templateSpans.map((span) => span.literal.text)].join("…");
}

/** The name of the attribute or property that gets the string; "text" for a child of an element. */
function placeOf(node: ts.Node, file: ts.SourceFile): string {
  let at = node.parent;
  const passedOn = [
    ts.SyntaxKind.QuestionQuestionToken,
    ts.SyntaxKind.BarBarToken,
    ts.SyntaxKind.AmpersandAmpersandToken,
  ];
  while (
    ts.isConditionalExpression(at) ||
    ts.isParenthesizedExpression(at) ||
    ts.isJsxExpression(at) ||
    (ts.isBinaryExpression(at) && passedOn.includes(at.operatorToken.kind))
  ) {
    at = at.parent;
  }
  if (ts.isJsxAttribute(at) || ts.isPropertyAssignment(at)) return at.name.getText(file).replaceAll('"', "");
  return ts.isJsxElement(at) || ts.isJsxFragment(at) ? "text" : "";
}

/** Whether a string begins like a sentence or has several words. Names of keys, of classes and of paths do not. */
function isSentence(text: string): boolean {
  return /^\p{Lu}\p{Ll}+[\s.…:]/u.test(text) || /\p{Ll}{3,} \p{Ll}{2,} \p{Ll}{2,}/u.test(text);
}

describe("the search for texts", () => {
  it("finds those that a person would see, and no others", () => {
    const source = `
      const a = <p class="one two three" title="Close">Hello <code>visavis serve</code></p>;
      const b = <Figure name={t.name} note={wide ? "Wide" : "the narrow one here"} />;
      const c = { view: "sessions", kind: "png", title: \`Delete \${name}\` };
      throw new Error("There is no such thing");
    `;
    const found = textsIn("a.tsx", source).map((one) => one.replace("a.tsx: ", ""));
    expect(found.sort()).toEqual(["Close", "Delete …", "Hello", "Wide", "the narrow one here"].sort());
  });
});

it("no source file has a text of its own", () => {
  const files = Object.entries(code).filter(([path]) => !NO_TEXTS.some((part) => path.includes(part)));
  expect(files.length).toBeGreaterThan(60);
  expect(files.flatMap(([path, source]) => textsIn(path.replace("../src/", ""), source))).toEqual([]);
});

it("no page has a text before its script has written it", () => {
  expect(Object.keys(pages)).toHaveLength(3);
  for (const [path, page] of Object.entries(pages)) {
    const body = page.slice(page.indexOf("<body")).replaceAll(/<noscript\b.*?<\/noscript\s*>/gs, "");
    const texts = body.replaceAll(/<[^>]*>/gs, " ").trim();
    expect(texts, path).toBe("");
    expect(
      [...body.matchAll(/\b(?:aria-label|title|alt)="([^"]*)"/g)].map(([, text]) => text),
      path,
    ).toEqual([]);
  }
});

/** The texts with their paths. Functions are called, with as many values as they take. */
function flat(value: unknown, path: string): [path: string, text: string][] {
  if (typeof value === "string") return [[path, value]];
  if (typeof value === "function") return [[path, String(value(...Array.from({ length: value.length }, () => 2)))]];
  return Object.entries(value as Record<string, unknown>).flatMap(([name, inner]) => flat(inner, `${path}.${name}`));
}

it("German has every text, translated, with the same parts", () => {
  const english = new Map(flat({ ...en }, ""));
  const german = flat({ ...de }, "");
  expect(german.map(([path]) => path)).toEqual([...english.keys()]);
  expect(german.length).toBeGreaterThan(400);
  const partsOf = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();
  const sentences = german.filter(([path, text]) => {
    expect(partsOf(text), path).toEqual(partsOf(english.get(path) ?? ""));
    return (english.get(path) ?? "").split(" ").length > 3;
  });
  expect(sentences.filter(([path, text]) => text === english.get(path))).toEqual([]);
});

it("the visitor's choice goes before the browser's languages", () => {
  expect(languageFor(null, ["de-AT", "en"])).toBe("de");
  expect(languageFor(null, ["fr", "de"])).toBe("de");
  expect(languageFor("en", ["de"])).toBe("en");
  expect(languageFor("xx", ["fr"])).toBe("en");
  expect(languageFor(null, [])).toBe("en");
});
