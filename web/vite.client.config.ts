import { defineConfig } from "vite";
import { CLIENT } from "./vite.config";

// Builds the package @visavis/client into the Python package as one module, client.js, so that any page can import it
// from a server at a fixed address. capture.worklet.js lies beside it. It is built after the pages, like alpha.js.
export default defineConfig({
  publicDir: false,
  base: "./",
  resolve: { alias: { "@client": CLIENT } },
  build: {
    outDir: "../src/visavis/web",
    emptyOutDir: false,
    assetsDir: "",
    assetsInlineLimit: 0,
    target: ["es2022", "chrome100", "firefox110", "safari15.4"],
    rollupOptions: {
      input: `${CLIENT}/define.ts`,
      preserveEntrySignatures: "strict",
      output: { format: "es", entryFileNames: "client.js", assetFileNames: "[name][extname]" },
    },
  },
});
