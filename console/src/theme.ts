import { createTheme, type MantineColorsTuple } from "@mantine/core";

/** Verdigris, the colour that coins take on: the console's one accent. */
const verdigris: MantineColorsTuple = [
  "#eef9f7",
  "#d9f0ec",
  "#b2e0d9",
  "#86cfc5",
  "#5dbcb0",
  "#38a598",
  "#1f8d81",
  "#147d72",
  "#0f6a61",
  "#0a5049",
];

const gray: MantineColorsTuple = [
  "#fafaf9",
  "#f4f5f4",
  "#e9ebea",
  "#dcdfde",
  "#c6cbca",
  "#a4abaa",
  "#6b7473",
  "#4d5655",
  "#343b3a",
  "#1d2322",
];

const dark: MantineColorsTuple = [
  "#dfe4e4",
  "#b9c1c1",
  "#9aa4a5",
  "#707b7d",
  "#3d4649",
  "#2b3336",
  "#1e2427",
  "#15191b",
  "#101315",
  "#0b0d0e",
];

export const theme = createTheme({
  primaryColor: "verdigris",
  primaryShade: 7,
  colors: { verdigris, gray, dark },
  black: "#1d2322",
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  fontFamily:
    'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "SF Mono", "Cascadia Mono", "Segoe UI Mono", "Roboto Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace',
  fontSizes: { xs: "12px", sm: "13.5px", md: "15px", lg: "17px", xl: "20px" },
  headings: {
    fontWeight: "620",
    sizes: {
      h1: { fontSize: "22px", lineHeight: "1.25" },
      h2: { fontSize: "15px", lineHeight: "1.35" },
      h3: { fontSize: "13.5px", lineHeight: "1.4" },
    },
  },
  components: {
    Table: { defaultProps: { verticalSpacing: 8, horizontalSpacing: "md", fz: "sm" } },
    TextInput: { defaultProps: { size: "sm" } },
    Button: { defaultProps: { size: "sm", variant: "default" } },
    Tooltip: { defaultProps: { withArrow: true, openDelay: 250, transitionProps: { duration: 120 } } },
    Anchor: { defaultProps: { underline: "hover" } },
  },
});
