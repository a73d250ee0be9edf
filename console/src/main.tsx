import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "@mantine/spotlight/styles.css";
import "./app.css";
import "./i18n";
import { type CSSVariablesResolver, MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import { router } from "./router";
import { askToSignIn } from "./session";
import { theme } from "./theme";

const onError = (error: unknown) => {
  if (error instanceof ApiError && error.status === 401) askToSignIn();
};
const queries = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    // The API may be on this very machine: whether the browser thinks that it is online says nothing.
    mutations: { networkMode: "always" },
    queries: {
      networkMode: "always",
      staleTime: 2_000,
      // Only what may pass by itself is tried again without being asked.
      retry: (failures, error) =>
        failures < 1 && error instanceof ApiError && (error.status === 0 || error.status === 503),
      retryDelay: 600,
    },
  },
});

const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#fbfbfa",
    "--mantine-color-dimmed": "#616a69",
    "--mantine-color-default-border": "#dcdfde",
    "--mantine-color-placeholder": "#737b7a",
  },
  dark: {
    "--mantine-color-body": "#101315",
    "--mantine-color-dimmed": "#9aa4a5",
    "--mantine-color-default": "#1a1f21",
    "--mantine-color-default-hover": "#22282b",
    "--mantine-color-default-border": "#333c3f",
    "--mantine-color-placeholder": "#8a9596",
  },
});

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" cssVariablesResolver={variables}>
      <QueryClientProvider client={queries}>
        <Notifications position="bottom-right" autoClose={6_000} />
        <RouterProvider router={router} context={{ queries }} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
