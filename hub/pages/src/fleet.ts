// What the page knows of the vehicles: state, trail and glide. Pure: time comes in, nothing is drawn or fetched.
import type { VehicleState } from "./frames.ts";
import { boundM, heading, type Place, predict, SILENT_MPS } from "./predict.ts";

/** In how long a correction of the position is blended away. */
export const GLIDE_MS = 600;
const TRAIL_MS = 15 * 60_000;
const TRAIL_POINTS = 2000;

export type Lane = "live" | "catching-up" | "offline" | "waiting";

export interface TrailPoint extends Place {
  readonly t: number;
  /** The way here from the point before is not known (yet): the link was cut. */
  readonly gap: boolean;
}

/** What the drawn place still differs from the predicted one, at the moment of the newest message. */
interface Residue extends Place {
  readonly courseDeg: number;
  readonly atMs: number;
}

/** What came late, or still has to: at most so many fixes waited; `doneMs` is when the last of them was stored. */
export interface Backlog {
  readonly fixes: number;
  readonly doneMs: number | null;
}

export interface Vehicle {
  readonly key: string;
  readonly state: VehicleState;
  readonly lane: Lane;
  readonly offSinceMs: number | null;
  readonly trail: readonly TrailPoint[];
  readonly residue: Residue | null;
  readonly backlog: Backlog | null;
}

export interface Pose extends Place {
  readonly courseDeg: number;
  readonly speedMps: number;
}

const turned = (degrees: number): number => ((((degrees + 180) % 360) + 360) % 360) - 180;

export function laneOf(state: VehicleState): Lane {
  if (!state.on) return state.live === null && state.rx === null ? "waiting" : "offline";
  if (state.live === null) return "waiting";
  return state.catching_up ? "catching-up" : "live";
}

/** Predicted by the contract; a vehicle that went offline is held where it was expected then. */
export function predicted(vehicle: Vehicle, nowMs: number): Pose | null {
  const live = vehicle.state.live;
  if (live === null) return null;
  const atMs = vehicle.offSinceMs === null ? nowMs : Math.min(nowMs, vehicle.offSinceMs);
  return { ...predict(live, atMs), ...heading(live, atMs) };
}

/** The pose to draw: the prediction, and what is left of the last correction. */
export function shown(vehicle: Vehicle, nowMs: number): Pose | null {
  const pose = predicted(vehicle, nowMs);
  const residue = vehicle.residue;
  if (pose === null || residue === null) return pose;
  const left = Math.max(0, 1 - Math.max(0, nowMs - residue.atMs) / GLIDE_MS) ** 3;
  if (left === 0) return pose;
  return {
    lat: pose.lat + residue.lat * left,
    lon: pose.lon + residue.lon * left,
    courseDeg: pose.courseDeg + residue.courseDeg * left,
    speedMps: pose.speedMps,
  };
}

/** `lostMs` is when this page lost the hub, null while it is connected: silence from then on proves nothing. */
export function errorM(vehicle: Vehicle, nowMs: number, lostMs: number | null): number | null {
  const { live, on } = vehicle.state;
  if (live === null) return null;
  if (lostMs === null) return boundM(live, nowMs, on);
  return boundM(live, lostMs, on) + (SILENT_MPS * Math.max(0, nowMs - lostMs)) / 1000;
}

function trailAfter(former: Vehicle | undefined, state: VehicleState): readonly TrailPoint[] {
  const trail = former?.trail ?? [];
  const live = state.live;
  if (live === null || live.t <= (former?.state.live?.t ?? 0)) return trail;
  const gap = former === undefined ? state.catching_up : !former.state.on || (state.catching_up && !former.state.catching_up);
  const from = live.t - TRAIL_MS;
  const kept = trail.filter((point) => point.t >= from).slice(1 - TRAIL_POINTS);
  return [...kept, { t: live.t, lat: live.lat, lon: live.lon, gap }];
}

function residueAfter(former: Vehicle | undefined, next: Vehicle, nowMs: number): Residue | null {
  const before = former === undefined ? null : shown(former, nowMs);
  const after = predicted(next, nowMs);
  if (before === null || after === null) return null;
  return {
    lat: before.lat - after.lat,
    lon: turned(before.lon - after.lon),
    courseDeg: turned(before.courseDeg - after.courseDeg),
    atMs: nowMs,
  };
}

function backlogAfter(former: Vehicle | undefined, state: VehicleState, nowMs: number): Backlog | null {
  const was = former?.backlog ?? null;
  const open = was !== null && was.doneMs === null;
  if (!state.on || state.catching_up) return { fixes: Math.max(open ? was.fixes : 0, state.q), doneMs: null };
  if (!open) return was;
  // A short backlog may be stored before a frame told of it; the message that ended the silence still does.
  const told = state.live !== null && state.live.t !== former?.state.live?.t ? (state.live.q ?? 0) : 0;
  const fixes = Math.max(was.fixes, told);
  return fixes === 0 ? null : { fixes, doneMs: nowMs };
}

/** The vehicle after `state` was received; `fresh` says that it comes with a snapshot, not with its own news. */
export function step(former: Vehicle | undefined, state: VehicleState, nowMs: number, fresh: boolean): Vehicle {
  const heardMs = state.rx ?? state.live?.t ?? nowMs;
  const since = former !== undefined && !fresh && former.state.on ? nowMs : heardMs;
  const next: Vehicle = {
    key: state.veh,
    state,
    lane: laneOf(state),
    offSinceMs: state.on ? null : (former?.offSinceMs ?? since),
    trail: trailAfter(former, state),
    backlog: backlogAfter(former, state, nowMs),
    residue: null,
  };
  return { ...next, residue: residueAfter(former, next, nowMs) };
}

export class Fleet {
  readonly vehicles = new Map<string, Vehicle>();

  /** A snapshot is the whole fleet: who is not in it has left. */
  snapshot(states: readonly VehicleState[], nowMs: number): void {
    const here = new Set(states.map((state) => state.veh));
    this.leave([...this.vehicles.keys()].filter((key) => !here.has(key)));
    for (const state of states) this.#apply(state, nowMs, true);
  }

  moves(states: readonly VehicleState[], nowMs: number): void {
    for (const state of states) this.#apply(state, nowMs, false);
  }

  leave(keys: readonly string[]): void {
    for (const key of keys) this.vehicles.delete(key);
  }

  #apply(state: VehicleState, nowMs: number, fresh: boolean): void {
    this.vehicles.set(state.veh, step(this.vehicles.get(state.veh), state, nowMs, fresh));
  }
}
