// The committed tracks: what the store says happened, fetched piece by piece as `through` advances.
import type { Fleet, Vehicle } from "./fleet.ts";
import { distanceM } from "./geometry.ts";
import type { Place } from "./predict.ts";

const RECENT_MS = 30 * 60_000;
const RECENT_FIXES = 300;
/** In a small fleet every vehicle shows its recent track, in a large one only the selected vehicle does. */
const SMALL_FLEET = 12;
const REFRESH_MS = 10_000;
const CATCH_UP_REFRESH_MS = 1_500;
const AFTER_FAILURE_MS = 15_000;
/** Pieces that follow each other by no more than this are one line: the hub begins a new one at such a gap too. */
const JOIN_MS = 60_000;

type Position = [number, number];

export interface Segment {
  readonly line: readonly Position[];
  readonly fromMs: number | null;
  readonly toMs: number | null;
}

export interface Track {
  readonly segments: readonly Segment[];
  readonly sinceMs: number;
  readonly throughMs: number;
  readonly metres: number;
  readonly fixes: number;
}

const timeOf = (value: unknown): number | null => (typeof value === "number" ? value : null);

function segmentOf(coordinates: GeoJSON.Position[], times: unknown): Segment | null {
  const line = coordinates.map((position): Position => [position[0] ?? 0, position[1] ?? 0]);
  if (line.length === 0) return null;
  const at = Array.isArray(times) ? times : [];
  return { line, fromMs: timeOf(at[0]), toMs: timeOf(at.at(-1)) };
}

/** The lines of a track: one Feature with a MultiLineString, and the times of each line in `properties.times`. */
export function segmentsOf(feature: GeoJSON.Feature): Segment[] {
  if (feature.geometry?.type !== "MultiLineString") return [];
  const times: unknown[] = Array.isArray(feature.properties?.["times"]) ? feature.properties["times"] : [];
  return feature.geometry.coordinates.map((line, i) => segmentOf(line, times[i])).filter((segment) => segment !== null);
}

function lengthM(line: readonly Position[]): number {
  let metres = 0;
  for (let i = 1; i < line.length; i++) {
    const [a, b] = [line[i - 1], line[i]];
    if (a && b) metres += distanceM({ lon: a[0], lat: a[1] }, { lon: b[0], lat: b[1] });
  }
  return metres;
}

/** The track with `more` at its end; `throughMs` counts where the hub gave no times. */
export function extended(track: Track, more: readonly Segment[], throughMs: number): Track {
  const segments = [...track.segments];
  for (const next of more) {
    const last = segments.at(-1);
    const follows = last?.toMs != null && next.fromMs !== null && next.fromMs - last.toMs <= JOIN_MS;
    if (last !== undefined && follows) {
      segments[segments.length - 1] = { ...last, line: [...last.line, ...next.line], toMs: next.toMs };
    } else segments.push(next);
  }
  const newest = more.reduce((ms, segment) => Math.max(ms, segment.toMs ?? throughMs), track.throughMs);
  return {
    segments,
    sinceMs: track.sinceMs,
    throughMs: newest,
    metres: segments.reduce((sum, segment) => sum + lengthM(segment.line), 0),
    fixes: segments.reduce((sum, segment) => sum + segment.line.length, 0),
  };
}

const midnight = (nowMs: number): number => new Date(nowMs).setHours(0, 0, 0, 0);

export class Tracks {
  readonly #known = new Map<string, Track>();
  readonly #askedMs = new Map<string, number>();
  readonly #fetch: (path: string) => Promise<Response>;
  readonly #changed: (first: boolean) => void;
  #busy = false;

  constructor(fetch: (path: string) => Promise<Response>, changed: (first: boolean) => void) {
    this.#fetch = fetch;
    this.#changed = changed;
  }

  get(key: string): Track | null {
    return this.#known.get(key) ?? null;
  }

  /** Where the committed track ends: the live trail goes on from here. */
  end(key: string): { place: Place; t: number } | null {
    const track = this.#known.get(key);
    const last = track?.segments.at(-1)?.line.at(-1);
    return track && last ? { place: { lon: last[0], lat: last[1] }, t: track.throughMs } : null;
  }

  /** The newest minutes of a track: what is looked at together with the vehicle. */
  recent(key: string): Place[] {
    const line = this.#known.get(key)?.segments.at(-1)?.line ?? [];
    return line.slice(-RECENT_FIXES).map(([lon, lat]) => ({ lat, lon }));
  }

  lines(selected: string | null): GeoJSON.FeatureCollection {
    const features: GeoJSON.Feature[] = [];
    for (const [key, track] of this.#known) {
      const coordinates = track.segments.map((segment) => [...segment.line]).filter((line) => line.length > 1);
      const geometry = { type: "MultiLineString" as const, coordinates };
      features.push({ type: "Feature", properties: { selected: key === selected }, geometry });
    }
    return { type: "FeatureCollection", features };
  }

  /** Called about twice a second: fetches what is most wanted, one request at a time. */
  async tick(fleet: Fleet, selected: string | null, nowMs: number): Promise<void> {
    if (this.#busy) return;
    const small = fleet.vehicles.size <= SMALL_FLEET;
    for (const key of this.#known.keys()) {
      if (!fleet.vehicles.has(key) || !(small || key === selected)) this.#known.delete(key);
    }
    const wanted = [...fleet.vehicles.values()].find(
      (vehicle) => (small || vehicle.key === selected) && this.#due(vehicle, vehicle.key === selected, nowMs),
    );
    if (wanted === undefined) return;
    this.#busy = true;
    this.#askedMs.set(wanted.key, nowMs);
    try {
      await this.#load(wanted, wanted.key === selected, nowMs);
    } catch {
      this.#askedMs.set(wanted.key, nowMs + AFTER_FAILURE_MS);
    } finally {
      this.#busy = false;
    }
  }

  #due(vehicle: Vehicle, selected: boolean, nowMs: number): boolean {
    const track = this.#known.get(vehicle.key);
    const askedMs = this.#askedMs.get(vehicle.key) ?? 0;
    const through = vehicle.state.through;
    if (through === null || nowMs - askedMs < CATCH_UP_REFRESH_MS) return false;
    if (track === undefined || (selected && track.sinceMs > midnight(nowMs))) return true;
    const behind = vehicle.lane === "catching-up" || through - track.throughMs > REFRESH_MS;
    return through > track.throughMs && (behind || nowMs - askedMs >= REFRESH_MS);
  }

  async #load(vehicle: Vehicle, selected: boolean, nowMs: number): Promise<void> {
    const known = this.#known.get(vehicle.key);
    const sinceMs = selected ? midnight(nowMs) : Math.max(midnight(nowMs), nowMs - RECENT_MS);
    const whole = known === undefined || known.sinceMs > sinceMs;
    const base: Track = whole ? { segments: [], sinceMs, throughMs: sinceMs - 1, metres: 0, fixes: 0 } : known;
    const from = Math.floor(base.throughMs + 1);
    const response = await this.#fetch(`/v1/vehicles/${encodeURIComponent(vehicle.key)}/track?format=geojson&from=${from}`);
    if (!response.ok) throw new Error(`track: ${response.status}`);
    const more = segmentsOf((await response.json()) as GeoJSON.Feature);
    this.#known.set(vehicle.key, extended(base, more, vehicle.state.through ?? nowMs));
    this.#changed(known === undefined);
  }
}
