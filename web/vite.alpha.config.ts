import { defineConfig } from "vite";

// Builds alpha.js into the Python package: one classic script without a content hash, so that any page can load it at a
// fixed address. It is built after the pages, because their build empties the folder.
export default defineConfig({
  publicDir: false,
  build: {
    outDir: "../src/visavis/web",
    emptyOutDir: false,
    target: ["es2022", "chrome100", "firefox110", "safari15.4"],
    rollupOptions: { input: "src/alpha/main.ts", output: { format: "iife", entryFileNames: "alpha.js" } },
  },
});
