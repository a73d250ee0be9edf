import { defineConfig } from "@hey-api/openapi-ts";

// Types alone: the client is openapi-fetch, and src/api/paths.ts ties the two together.
export default defineConfig({
  input: "../src/obverse/apps/api/openapi.json",
  output: { path: "src/api/generated", clean: true },
  plugins: ["@hey-api/typescript"],
});
