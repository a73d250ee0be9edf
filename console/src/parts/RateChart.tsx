import "uplot/dist/uPlot.min.css";
import { useComputedColorScheme, useMantineTheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { rate as shown } from "../format";

const WINDOW = 180;
/** What the axis counts in: whole numbers, however little comes in. */
const STEPS = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((one) => one * 10 ** power)).flat();

/** Events a second over the last minutes. */
export default function RateChart(props: {
  points: readonly { at: number; rate: number | null }[];
  label: string;
}) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme("light");
  const theme = useMantineTheme();
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const dark = scheme === "dark";
    const line = dark ? "#4fbfb2" : "#147d72";
    const text = dark ? "#9aa4a5" : "#616a69";
    const grid = dark ? "#1f2528" : "#f0f2f1";
    const axis = {
      stroke: text,
      grid: { stroke: grid, width: 1 },
      ticks: { show: false },
      font: `11.5px ${theme.fontFamily}`,
    };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height: element.clientHeight,
        cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
        legend: { show: false },
        padding: [10, 24, 0, 0],
        scales: {
          x: { time: true, range: () => [Date.now() / 1000 - WINDOW, Date.now() / 1000] },
          y: { range: (_, __, max) => [0, Math.max(1, max * 1.18)] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 26,
            space: 70,
            values: (_, at) =>
              at.map((second) => new Date(second * 1000).toLocaleTimeString("en-GB").slice(0, 8)),
          },
          { ...axis, size: 46, space: 34, incrs: STEPS, values: (_, rates) => rates.map(shown) },
        ],
        series: [
          {},
          {
            stroke: line,
            width: 1.75,
            fill: dark ? "rgba(79,191,178,.12)" : "rgba(20,125,114,.09)",
            points: { show: false },
          },
        ],
      },
      [[], []],
      element,
    );
    chart.current = made;
    const resized = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [scheme, theme.fontFamily]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a chart made anew needs its data too
  useEffect(() => {
    chart.current?.setData([props.points.map(({ at }) => at), props.points.map(({ rate }) => rate)]);
  }, [props.points, scheme]);
  return <div ref={place} className="rateChart" role="img" aria-label={props.label} />;
}
