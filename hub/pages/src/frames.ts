// The frames of the stream `odograph.v1`, and the one place that judges whether what came in is one.
import type { Live } from "./predict.ts";

export interface VehicleState {
  readonly veh: string;
  readonly name: string;
  readonly on: boolean;
  readonly live: Live | null;
  readonly rx: number | null;
  readonly q: number;
  readonly through: number | null;
  readonly catching_up: boolean;
}

export type ServerFrame =
  | { readonly op: "hello"; readonly at: number }
  | { readonly op: "pong"; readonly at: number }
  | { readonly op: "snapshot" | "moves"; readonly sub: number; readonly at: number; readonly vehicles: readonly VehicleState[] }
  | { readonly op: "leave"; readonly sub: number; readonly veh: readonly string[] }
  | { readonly op: "bye"; readonly retry_ms: number }
  | { readonly op: "error"; readonly code: string; readonly message: string };

type Bag = Record<string, unknown>;

const isBag = (value: unknown): value is Bag => typeof value === "object" && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const numberOrNull = (value: unknown): number | null => (isNumber(value) ? value : null);

function liveOf(value: unknown): Live | null {
  if (!isBag(value)) return null;
  const needed = ["t", "lat", "lon", "spd", "crs", "eps"] as const;
  return needed.every((key) => isNumber(value[key])) ? (value as unknown as Live) : null;
}

function vehicleOf(value: unknown): VehicleState | null {
  if (!isBag(value) || typeof value["veh"] !== "string") return null;
  return {
    veh: value["veh"],
    name: typeof value["name"] === "string" && value["name"] !== "" ? value["name"] : value["veh"],
    on: value["on"] === true,
    live: liveOf(value["live"]),
    rx: numberOrNull(value["rx"]),
    q: isNumber(value["q"]) ? value["q"] : 0,
    through: numberOrNull(value["through"]),
    catching_up: value["catching_up"] === true,
  };
}

/** The frame in a text message, or null for one that this page does not know: newer hubs may say more. */
export function frameOf(text: string): ServerFrame | null {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isBag(raw)) return null;
  const at = raw["at"];
  const sub = numberOrNull(raw["id"]) ?? 0;
  switch (raw["op"]) {
    case "hello":
    case "pong":
      return isNumber(at) ? { op: raw["op"], at } : null;
    case "snapshot":
    case "moves": {
      if (!isNumber(at) || !Array.isArray(raw["vehicles"])) return null;
      const vehicles = raw["vehicles"].map(vehicleOf).filter((vehicle) => vehicle !== null);
      return { op: raw["op"], sub, at, vehicles };
    }
    case "leave": {
      const veh = Array.isArray(raw["veh"]) ? raw["veh"] : [raw["veh"]];
      return { op: "leave", sub, veh: veh.filter((key) => typeof key === "string") };
    }
    case "bye":
      return { op: "bye", retry_ms: numberOrNull(raw["retry_ms"]) ?? 1000 };
    case "error":
      return { op: "error", code: String(raw["code"] ?? ""), message: String(raw["message"] ?? "") };
    default:
      return null;
  }
}
