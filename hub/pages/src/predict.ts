// Dead reckoning: the twin of wire/predict.py, held to it by the vectors in tests/recordings/predict.json.

/** The live message as decoded from the wire: `t` ms, degrees, `spd` m/s, `a` m/s², `w` °/s, `eps` m. */
export interface Live {
  readonly t: number;
  readonly lat: number;
  readonly lon: number;
  readonly spd: number;
  readonly crs: number;
  readonly eps: number;
  readonly a?: number;
  readonly w?: number;
  readonly alt?: number;
  readonly acc?: number;
  readonly rpm?: number;
  readonly ign?: number;
  /** Fixes that waited in the outbox when this was sent. */
  readonly q?: number;
  /** The longest silence of the sender in seconds, if it is not the usual one. */
  readonly hb?: number;
}

export interface Place {
  readonly lat: number;
  readonly lon: number;
}

export type Motion = Pick<Live, "t" | "lat" | "lon" | "spd" | "crs" | "a" | "w">;

const ACTING_MS = 2000;
const STEPS = 4;
const HEARTBEAT_MOVING_MS = 60_000;
const HEARTBEAT_PARKED_MS = 300_000;
const SLACK_MS = 5_000;
const EARTH_RADIUS_M = 6_371_008.8;

export const SILENT_MPS = 40;
export const METRES_PER_DEGREE = (Math.PI * EARTH_RADIUS_M) / 180;

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** Remainder with the sign of the divisor, as Python's `%` has it. */
const modulo = (value: number, divisor: number): number => {
  const rest = value % divisor;
  return rest < 0 ? rest + divisor : rest;
};

export function moved(from: Place, northM: number, eastM: number): Place {
  const lat = Math.max(-90, Math.min(90, from.lat + northM / METRES_PER_DEGREE));
  const scale = METRES_PER_DEGREE * Math.max(Math.cos(radians(from.lat)), 1e-6);
  return { lat, lon: modulo(from.lon + eastM / scale + 180, 360) - 180 };
}

/** Where the vehicle is at `atMs`, as the sender and the hub work it out too. */
export function predict(live: Motion, atMs: number): Place {
  const accel = live.a ?? 0;
  const turn = live.w ?? 0;
  const lapseMs = Math.max(0, atMs - live.t);
  if (live.spd === 0 && accel <= 0) return { lat: live.lat, lon: live.lon };
  const actingS = Math.min(lapseMs, ACTING_MS) / 1000;
  let north = 0;
  let east = 0;
  let restS = lapseMs / 1000;
  if (accel !== 0 || turn !== 0) {
    const stepS = actingS / STEPS;
    for (let i = 0; i < STEPS; i++) {
      const middleS = (i + 0.5) * stepS;
      const speed = Math.max(0, live.spd + accel * middleS);
      const course = radians(live.crs + turn * middleS);
      north += speed * Math.cos(course) * stepS;
      east += speed * Math.sin(course) * stepS;
    }
    restS -= actingS;
  }
  if (restS > 0) {
    const speed = Math.max(0, live.spd + accel * (ACTING_MS / 1000));
    const course = radians(live.crs + turn * (ACTING_MS / 1000));
    north += speed * Math.cos(course) * restS;
    east += speed * Math.sin(course) * restS;
  }
  return moved(live, north, east);
}

/** Speed in m/s and course in degrees that go with `predict`. */
export function heading(live: Motion, atMs: number): { speedMps: number; courseDeg: number } {
  const actingS = Math.min(Math.max(0, atMs - live.t), ACTING_MS) / 1000;
  return {
    speedMps: Math.max(0, live.spd + (live.a ?? 0) * actingS),
    courseDeg: modulo(live.crs + (live.w ?? 0) * actingS, 360),
  };
}

/** How far the prediction can be off: ε while heartbeats come, growing from the last proof on when they do not. */
export function boundM(live: Pick<Live, "t" | "spd" | "eps" | "hb">, nowMs: number, online: boolean): number {
  const usualMs = live.spd > 0 ? HEARTBEAT_MOVING_MS : HEARTBEAT_PARKED_MS;
  const heartbeatMs = live.hb === undefined ? usualMs : live.hb * 1000;
  const provenMs = live.t + (online ? heartbeatMs + SLACK_MS : 0);
  return live.eps + (SILENT_MPS * Math.max(0, nowMs - provenMs)) / 1000;
}
