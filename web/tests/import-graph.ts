// The imports between source files, as a graph. Type imports count: a reader follows them too.

export type Graph = ReadonlyMap<string, readonly string[]>;

const IMPORT = /\b(?:import|export)\s+(?:[^"';]*?\sfrom\s+)?"([^"]+)"|\bimport\("([^"]+)"\)/g;

/** Build the graph of `sources`, texts by path. Imports of packages and of generated types are left out. */
export function importGraph(sources: Readonly<Record<string, string>>): Graph {
  return new Map(
    Object.entries(sources).map(([path, text]) => {
      const specifiers = [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? "");
      const relative = specifiers.filter((one) => /^(\.|@client\/)/.test(one) && !one.includes("/integrations/"));
      return [path, relative.map((specifier) => resolved(path, specifier, sources))];
    }),
  );
}

function resolved(from: string, specifier: string, sources: Readonly<Record<string, string>>): string {
  const parts = specifier.startsWith("@client/") ? [] : from.split("/").slice(0, -1);
  for (const part of (specifier.split("?")[0] ?? "").split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  const path = parts.join("/");
  const found = [path, path.replace(/\.js$/, ".ts"), `${path}.ts`, `${path}.tsx`].find(
    (candidate) => candidate in sources,
  );
  if (found === undefined) throw new Error(`${from} imports ${specifier}, which is no source file`);
  return found;
}

/** Return the files of one import circle, the first again at the end; null if there is none. */
export function findCircle(graph: Graph): string[] | null {
  const done = new Set<string>();
  const search = (file: string, path: string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const next of graph.get(file) ?? []) {
      const circle = search(next, [...path, file]);
      if (circle !== null) return circle;
    }
    done.add(file);
    return null;
  };
  for (const file of graph.keys()) {
    const circle = search(file, []);
    if (circle !== null) return circle;
  }
  return null;
}
