import { defineConfig } from "vitest/config";

// One process, one file after the other: the tests in a room wait for real servers, and LiveKit's library is native.
export default defineConfig({
  test: {
    pool: "forks",
    poolOptions: { forks: { singleFork: true } },
    isolate: false,
    fileParallelism: false,
    setupFiles: ["tests/setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 30_000,
  },
});
