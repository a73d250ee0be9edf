import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// For `npm run dev`: an installation of yours that runs, such as `make demo`.
const api = process.env.OBVERSE_API ?? "http://127.0.0.1:8040";

export default defineConfig({
  plugins: [react()],
  server: { proxy: { "/v1": api, "/ready": api } },
  build: {
    outDir: "../src/obverse/apps/console/pages",
    emptyOutDir: true,
    // The first that know light-dark(): spring 2024.
    target: ["chrome123", "edge123", "firefox120", "safari17.5"],
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
  },
});
