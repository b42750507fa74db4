// Figures as people read them.
import type { Vehicle } from "./fleet.ts";

const WINDS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"] as const;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export interface Figure {
  readonly value: string;
  readonly unit: string;
}

export const NOTHING: Figure = { value: "–", unit: "" };

/** A backlog is often stored faster than anybody reads; so long it is told that there was one. */
const CAUGHT_UP_MS = 10_000;

export const count = (n: number): string => n.toLocaleString("en");

export const fixes = (n: number): string => `${count(n)} ${n === 1 ? "fix" : "fixes"}`;

export function age(ms: number): Figure {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 100) return { value: String(seconds), unit: "s" };
  if (seconds < 5400) return { value: String(Math.floor(seconds / 60)), unit: "min" };
  if (seconds < 172_800) return { value: String(Math.floor(seconds / 3600)), unit: "h" };
  return { value: String(Math.floor(seconds / 86_400)), unit: "d" };
}

export function distance(metres: number): Figure {
  if (metres < 1000) return { value: String(Math.round(metres)), unit: "m" };
  const km = metres / 1000;
  return { value: km < 10 ? km.toFixed(1) : count(Math.round(km)), unit: "km" };
}

export const bound = (metres: number): Figure => {
  const figure = distance(metres);
  return { value: `±\u2009${figure.value}`, unit: figure.unit };
};

export const kmh = (mps: number): Figure => ({ value: String(Math.round(mps * 3.6)), unit: "km/h" });

export const timeOfDay = (ms: number): string => clock.format(ms);

export const since = (ms: number, nowMs: number): string => (nowMs - ms < 12 * 3_600_000 ? clock : day).format(ms);

export const wind = (courseDeg: number): string => WINDS[(Math.round(courseDeg / 45) + 8) % 8] ?? "";

export const place = (lat: number, lon: number): string =>
  `${Math.abs(lat).toFixed(5)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(5)}° ${lon < 0 ? "W" : "E"}`;

/** The state of a vehicle's lanes in words. */
export function laneText(vehicle: Vehicle, nowMs: number): string {
  const { q } = vehicle.state;
  switch (vehicle.lane) {
    case "live": {
      const late = vehicle.backlog;
      if (late === null || late.doneMs === null || nowMs - late.doneMs > CAUGHT_UP_MS) return "live";
      return `live · ${fixes(late.fixes)} caught up`;
    }
    case "catching-up":
      return `catching up · ${fixes(q)} to go`;
    case "offline":
      return vehicle.offSinceMs === null ? "offline" : `offline since ${since(vehicle.offSinceMs, nowMs)}`;
    case "waiting":
      return "no position yet";
  }
}
