import { defineConfig } from "vite";

// Builds alpha.js into the Python package: one classic script at an address that stays, so that any page may load it. After the pages, whose
// build empties the folder.
export default defineConfig({
  publicDir: false,
  build: {
    outDir: "../src/visavis/web",
    emptyOutDir: false,
    target: ["es2022", "chrome100", "firefox110", "safari15.4"],
    rollupOptions: { input: "src/alpha/main.ts", output: { format: "iife", entryFileNames: "alpha.js" } },
  },
});
