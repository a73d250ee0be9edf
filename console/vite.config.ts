import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { mockApi } from "./dev/mock.ts";

const api = process.env.OBVERSE_API;

export default defineConfig({
  // Without OBVERSE_API the development server answers for the API itself, with made-up data.
  plugins: [react(), ...(api ? [] : [mockApi()])],
  server: api ? { proxy: { "/v1": api, "/ready": api } } : {},
  build: {
    outDir: "../src/obverse/apps/console/pages",
    emptyOutDir: true,
    // The first that know light-dark(): spring 2024.
    target: ["chrome123", "edge123", "firefox120", "safari17.5"],
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
  },
});
