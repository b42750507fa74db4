// What is known of the selected vehicle, below the table: where it is now, and what the store holds.
import { make, write } from "./dom.ts";
import { predicted, type Vehicle } from "./fleet.ts";
import { distance, fixes, place, timeOfDay, wind } from "./text.ts";
import type { Track } from "./track.ts";

const FACTS = ["Position", "Course", "Altitude", "Receiver", "Today", "Stored up to", "To come"] as const;
type Fact = (typeof FACTS)[number];

export class Detail {
  readonly #element: HTMLElement;
  readonly #name = make("h2");
  readonly #values: Readonly<Record<Fact, HTMLElement>>;

  constructor(element: HTMLElement) {
    this.#element = element;
    const values = FACTS.map((fact) => [fact, make("dd")] as const);
    this.#values = Object.fromEntries(values) as Record<Fact, HTMLElement>;
    const list = make("dl", "", ...values.map(([fact, value]) => make("div", "", make("dt", "", fact), value)));
    element.append(this.#name, list);
  }

  show(vehicle: Vehicle | null, track: Track | null, nowMs: number): void {
    this.#element.hidden = vehicle === null;
    if (vehicle === null) return;
    const { live, q, through } = vehicle.state;
    const pose = predicted(vehicle, nowMs);
    write(this.#name, vehicle.state.name);
    const facts: Record<Fact, string> = {
      Position: pose === null ? "–" : place(pose.lat, pose.lon),
      Course: pose === null || live?.spd === 0 ? "–" : `${Math.round(pose.courseDeg)}° ${wind(pose.courseDeg)}`,
      Altitude: live?.alt === undefined ? "–" : `${Math.round(live.alt)} m`,
      Receiver: live?.acc === undefined ? "–" : `±\u2009${Math.round(live.acc)} m`,
      Today: track === null ? "–" : this.#travelled(track),
      "Stored up to": through === null ? "–" : timeOfDay(through),
      "To come": q === 0 ? "nothing" : fixes(q),
    };
    for (const fact of FACTS) write(this.#values[fact], facts[fact]);
  }

  #travelled(track: Track): string {
    const { value, unit } = distance(track.metres);
    return `${value} ${unit} in ${fixes(track.fixes)}`;
  }
}
