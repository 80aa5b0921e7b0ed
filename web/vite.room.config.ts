import { defineConfig } from "vite";
import pages from "./vite.config";

// Builds the room page alone, so that its viewers load no text of the playground and of the console. It is built after
// the other pages, because their build empties the folder.
export default defineConfig({
  ...pages,
  build: { ...pages.build, emptyOutDir: false, copyPublicDir: false, rollupOptions: { input: ["rooms/room.html"] } },
});
