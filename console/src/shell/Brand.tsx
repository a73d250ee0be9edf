/** A coin's obverse: the side that bears the portrait. */
export function Brand({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" aria-hidden focusable="false">
      <circle cx="12" cy="12" r="11.5" fill="var(--mantine-color-verdigris-7)" />
      <circle
        cx="12"
        cy="12"
        r="9.3"
        fill="none"
        stroke="#fff"
        strokeOpacity="0.6"
        strokeWidth="0.8"
        strokeDasharray="0.6 1.35"
      />
      <path
        fill="#fff"
        d="M9 17.6c0-2 .6-2.8.6-3.8C8.6 13 8 11.8 8 10.4 8 8 9.7 6.4 12 6.4c2 0 3.5 1.3 3.6 3.1l1 1.7c.2.4 0 .7-.4.8l-.5.1.1 1.6c0 .7-.5 1.1-1.2 1l-1.2-.1v3z"
      />
    </svg>
  );
}
