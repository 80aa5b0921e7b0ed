import { defineConfig } from "vite";
import { CLIENT } from "./vite.config";

// Builds alpha.js into the Python package: one classic script without a content hash, so that any page can load it at a
// fixed address. It is built after the pages, because their build empties the folder.
export default defineConfig({
  publicDir: false,
  resolve: { alias: { "@client": CLIENT } },
  build: {
    outDir: "../src/visavis/web",
    emptyOutDir: false,
    assetsDir: "",
    assetsInlineLimit: 0, // a strict content security policy forbids worklets from data: addresses
    target: ["es2022", "chrome100", "firefox110", "safari15.4"],
    rollupOptions: {
      input: "src/alpha/main.ts",
      output: { format: "iife", entryFileNames: "alpha.js", assetFileNames: "[name][extname]" },
    },
  },
});
