/** Drawn on a grid of 16; strokes take the text's colour. */
const PATHS = {
  check: 'M3 8.5l3.2 3L13 4.5',
  cross: 'M4 4l8 8M12 4l-8 8',
  play: 'M5.5 3.8v8.4l6.6-4.2z',
  clock: 'M8 4.5V8l2.3 1.6M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z',
  ban: 'M3.8 3.8l8.4 8.4M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.4 10.4L13.5 13.5',
  sun: 'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.5v1.6M8 12.9v1.6M1.5 8h1.6M12.9 8h1.6M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M12.6 3.4l-1.1 1.1M4.5 11.5l-1.1 1.1',
  moon: 'M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3z',
  system: 'M2.5 3h11v7.5h-11zM6 13.5h4M8 10.5v3',
  left: 'M10 3.5L5.5 8l4.5 4.5',
  right: 'M6 3.5L10.5 8 6 12.5',
  download: 'M8 2.5v7.2M4.8 6.8L8 10l3.2-3.2M3 13.2h10',
  lock: 'M4 7.5h8v6H4zM5.5 7.5V5.3a2.5 2.5 0 0 1 5 0v2.2',
  file: 'M4 2h5l3 3v9H4zM9 2v3h3',
  out: 'M9.5 3H3.5v10h6M7 8h6.5M11.2 5.6L13.6 8l-2.4 2.4',
  copy: 'M5.5 5.5h7v7h-7zM3.5 10.5v-7h7',
  keyboard: 'M1.5 4.5h13v7.5h-13zM4 7h.01M6.5 7h.01M9 7h.01M11.5 7h.01M5 9.7h6',
  shield: 'M8 1.8l5 1.8v4.2c0 3-2.1 5.2-5 6.4-2.9-1.2-5-3.4-5-6.4V3.6z',
  warn: 'M8 2.2l6.3 11.3H1.7zM8 6.5v3.2M8 11.6h.01',
} as const;

export type IconName = keyof typeof PATHS;

export const Icon = ({ name, size = 16, className = '' }: { name: IconName; size?: number; className?: string }) => (
  <svg
    width={size}
    height={size}
    viewBox="0 0 16 16"
    fill="none"
    stroke="currentColor"
    strokeWidth={1.5}
    strokeLinecap="round"
    strokeLinejoin="round"
    aria-hidden="true"
    className={`shrink-0 ${className}`}
  >
    <path d={PATHS[name]} />
  </svg>
);
