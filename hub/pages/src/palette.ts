// The colours of map and canvas, taken from the style sheet, so that they are said once.
import type { Lane } from "./fleet.ts";

const NAMES = ["land", "sea", "border", "grid", "grid-major", "ink", "muted", "surface", "line", "on-accent", "track-old", "track-new"] as const;

export interface Palette extends Record<(typeof NAMES)[number], string> {
  readonly lanes: Readonly<Record<Lane, string>>;
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const plain = Object.fromEntries(NAMES.map((name) => [name, colour(name)])) as Record<(typeof NAMES)[number], string>;
  const lanes = {
    live: colour("live"),
    "catching-up": colour("catching-up"),
    offline: colour("offline"),
    waiting: colour("offline"),
  };
  return { ...plain, lanes };
}
