// The table of vehicles: rows are made once, and of each cell only what changed is written.
import { make, mark, write } from "./dom.ts";
import { type Lane, predicted, type Vehicle } from "./fleet.ts";
import { age, bound, count, type Figure, kmh, laneText, NOTHING, since } from "./text.ts";

/** More rows than anybody reads; the filter finds the others. */
const ROWS = 200;
const FILTER_FROM = 9;
const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

export interface Seen {
  readonly nowMs: number;
  /** Since when the page has had no connection to the hub; null while it has one. */
  readonly lostMs: number | null;
  readonly selected: string | null;
  readonly errorM: (vehicle: Vehicle) => number | null;
}

export interface TableParts {
  readonly body: HTMLElement;
  readonly filter: HTMLInputElement;
  readonly more: HTMLElement;
  readonly tally: HTMLElement;
}

class FigureCell {
  readonly cell: HTMLTableCellElement;
  readonly #value = document.createTextNode("");
  readonly #unit = make("span", "unit");

  constructor(label: string) {
    this.cell = make("td", "figure", this.#value, this.#unit);
    this.cell.dataset["label"] = label;
  }

  show(figure: Figure): void {
    write(this.#value, figure.value);
    write(this.#unit, figure.unit === "" ? "" : `\u00a0${figure.unit}`);
  }
}

class Row {
  readonly element: HTMLTableRowElement;
  readonly #name = make("button", "name");
  readonly #lane = make("td", "lane");
  readonly #speed = new FigureCell("Speed");
  readonly #rpm = new FigureCell("Engine");
  readonly #age = new FigureCell("Age");
  readonly #bound = new FigureCell("Error");

  constructor(key: string) {
    this.#name.type = "button";
    const head = make("th", "vehicle", make("span", "dot"), this.#name);
    head.scope = "row";
    const figures = [this.#speed, this.#rpm, this.#age, this.#bound].map((figure) => figure.cell);
    this.element = make("tr", "", head, ...figures, this.#lane);
    this.element.dataset["veh"] = key;
  }

  show(vehicle: Vehicle, { nowMs, lostMs, selected: chosen, errorM }: Seen): void {
    const { state, lane } = vehicle;
    const selected = vehicle.key === chosen;
    const metres = errorM(vehicle);
    const known = lane === "live" || lane === "catching-up";
    const rpm = known ? state.live?.rpm : undefined;
    mark(this.element, "lane", lostMs === null ? lane : "offline");
    mark(this.element, "selected", String(selected));
    if (this.#name.ariaPressed !== String(selected)) this.#name.ariaPressed = String(selected);
    write(this.#name, state.name);
    write(this.#lane, lostMs === null ? laneText(vehicle, nowMs) : `no news since ${since(lostMs, nowMs)}`);
    this.#speed.show(known ? kmh(predicted(vehicle, nowMs)?.speedMps ?? 0) : NOTHING);
    this.#rpm.show(rpm === undefined ? NOTHING : { value: count(rpm), unit: "rpm" });
    this.#age.show(state.live === null ? NOTHING : age(nowMs - state.live.t));
    this.#bound.show(metres === null ? NOTHING : bound(metres));
  }
}

export class Table {
  readonly #parts: TableParts;
  readonly #rows = new Map<string, Row>();
  #orderKey = "";

  constructor(parts: TableParts, select: (key: string) => void) {
    this.#parts = parts;
    parts.body.addEventListener("click", (event) => {
      const row = event.target instanceof Element ? event.target.closest("tr") : null;
      const key = row?.dataset["veh"];
      if (key !== undefined) select(key);
    });
  }

  show(vehicles: readonly Vehicle[], seen: Seen): void {
    const wanted = this.#parts.filter.value.trim().toLocaleLowerCase();
    const all = vehicles.filter(({ key, state }) => `${key} ${state.name}`.toLocaleLowerCase().includes(wanted));
    all.sort((a, b) => order.compare(a.state.name, b.state.name) || order.compare(a.key, b.key));
    const listed = all.slice(0, ROWS);
    this.#arrange(listed);
    for (const vehicle of listed) this.#rows.get(vehicle.key)?.show(vehicle, seen);
    this.#parts.filter.hidden = vehicles.length < FILTER_FROM && wanted === "";
    const left = all.length - listed.length;
    const none = all.length === 0 && wanted !== "" ? "No vehicle of this name" : "";
    write(this.#parts.more, left > 0 ? `and ${count(left)} more: type a name above to find them` : none);
    this.#tally(vehicles, seen.nowMs);
  }

  reveal(key: string): void {
    this.#rows.get(key)?.element.scrollIntoView({ block: "nearest" });
  }

  #arrange(listed: readonly Vehicle[]): void {
    const orderKey = listed.map(({ key }) => key).join("\n");
    if (orderKey === this.#orderKey) return;
    this.#orderKey = orderKey;
    const keys = new Set(listed.map(({ key }) => key));
    for (const key of this.#rows.keys()) if (!keys.has(key)) this.#rows.delete(key);
    for (const key of keys) if (!this.#rows.has(key)) this.#rows.set(key, new Row(key));
    const focused = document.activeElement;
    this.#parts.body.replaceChildren(...[...keys].flatMap((key) => this.#rows.get(key)?.element ?? []));
    if (focused instanceof HTMLElement && focused.isConnected) focused.focus({ preventScroll: true });
  }

  #tally(vehicles: readonly Vehicle[], nowMs: number): void {
    const inLane = (lane: Lane): number => vehicles.filter((vehicle) => vehicle.lane === lane).length;
    const moving = vehicles.filter(
      (vehicle) => vehicle.lane !== "offline" && (predicted(vehicle, nowMs)?.speedMps ?? 0) > 0.5,
    ).length;
    const figures: Record<string, number> = {
      vehicles: vehicles.length,
      moving,
      "catching-up": inLane("catching-up"),
      offline: inLane("offline") + inLane("waiting"),
    };
    for (const [name, n] of Object.entries(figures)) {
      const cell = this.#parts.tally.querySelector<HTMLElement>(`[data-tally="${name}"]`);
      if (cell === null) continue;
      write(cell, count(n));
      mark(cell, "zero", String(n === 0));
    }
  }
}
