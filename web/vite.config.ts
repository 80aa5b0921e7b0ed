import { defineConfig } from "vitest/config";

// Builds both pages into the Python package. File names carry content hashes, so browsers may cache /assets for ever.
// The same sources give the same bytes, which scripts/check-web compares. Nothing is inlined, because the pages run
// under `default-src 'self'`. All links are relative, so that a proxy can serve the pages below a path: each page lies
// in the folder that its address names. The server may replace "./" in the playground's links by that path.
// `npm run dev` serves the sources and passes API requests to the server at VISAVIS_DEV_SERVER.
// `@client` is the source of the package @visavis/client, which the pages use, too.
export const CLIENT = new URL("../integrations/browser/src", import.meta.url).pathname;

declare const process: { env: Record<string, string | undefined> };
const server = process.env.VISAVIS_DEV_SERVER ?? "http://127.0.0.1:8000";
const roomPage = /^\/rooms\/[^/]+\/?(\?.*)?$/;

export default defineConfig({
  base: "./",
  resolve: { alias: { "@client": CLIENT } },
  build: {
    outDir: "../src/visavis/web",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: ["es2022", "chrome100", "firefox110", "safari15.4"],
    rollupOptions: { input: ["index.html", "console.html"] },
  },
  worker: { format: "es" },
  server: {
    fs: { allow: [".", CLIENT] },
    proxy: {
      "/v1": { target: server, ws: true },
      "/sign-in": server,
      "/samples": server,
      "/docs": server,
      "/media": server,
      "/rooms": {
        target: server,
        bypass: (request) => (roomPage.test(request.url ?? "") ? "/rooms/room.html" : undefined),
      },
    },
  },
  test: { include: ["tests/**/*.test.ts"], css: true }, // css: structure.test.ts reads the style sheets
});
