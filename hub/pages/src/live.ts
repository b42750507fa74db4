// The live page itself, once somebody is signed in: stream, fleet, map, table, and the clockwork between them.
import { countryNames, loadCountries, type Tiles } from "./basemap.ts";
import { localMs } from "./clock.ts";
import { darkScheme, need, reducedMotion, write } from "./dom.ts";
import { Detail } from "./detail.ts";
import { errorM, Fleet, predicted, shown, type Vehicle } from "./fleet.ts";
import type { LiveMap } from "./map.ts";
import { Overlay } from "./overlay.ts";
import { Stream, type StreamHandler } from "./stream.ts";
import { Table } from "./table.ts";
import { laneText } from "./text.ts";
import { Tracks } from "./track.ts";
import type { VehicleState } from "./frames.ts";

const TABLE_EVERY_MS = 250;
const TRACKS_EVERY_MS = 500;
const VIEW_EVERY_MS = 2000;
const CALM_FRAME_MS = 500;
/** Larger fleets do not read out each change, only those of the selected vehicle. */
const SPOKEN_FLEET = 12;

export class LivePage implements StreamHandler {
  readonly #token: string;
  readonly #signedOut: (why: string) => void;
  readonly #fleet = new Fleet();
  readonly #stream: Stream;
  readonly #table: Table;
  readonly #detail = new Detail(need("detail", HTMLElement));
  readonly #tracks: Tracks;
  readonly #overlay = new Overlay(need("overlay", HTMLCanvasElement));
  readonly #ended = new AbortController();
  #map: LiveMap | null = null;
  #selected: string | null = null;
  #connected = false;
  #known = false;
  #fitted = false;
  #lostMs: number | null = null;
  #retryAtMs: number | null = null;
  #frames = 0;
  #due = { table: 0, tracks: 0, view: 0, frame: 0 };

  constructor(token: string, signedOut: (why: string) => void) {
    this.#token = token;
    this.#signedOut = signedOut;
    this.#stream = new Stream(`${location.origin.replace(/^http/, "ws")}/v1/stream`, token, this);
    this.#tracks = new Tracks((path) => this.#get(path), (first) => this.#redrawTracks(first));
    const filter = need("filter", HTMLInputElement);
    this.#table = new Table(
      { body: need("rows", HTMLElement), filter, more: need("more", HTMLElement), tally: need("tally", HTMLElement) },
      (key) => this.#select(key === this.#selected ? null : key),
    );
    this.#listen(filter);
  }

  async start(): Promise<void> {
    this.#stream.open();
    requestAnimationFrame(() => this.#frame());
    const tiles = await this.#tiles();
    try {
      // A megabyte: signing in and the table do not wait for it.
      const { LiveMap } = await import("./map.ts");
      this.#map = new LiveMap(need("map", HTMLElement), tiles, () => this.#showCamera());
    } catch (error) {
      // Without WebGL there is no map; the table is worth having all the same.
      console.warn("map:", error);
      need("no-map", HTMLElement).hidden = false;
      return;
    }
    this.#map.onRender(() => this.#draw());
    this.#map.onClick((x, y) => this.#select(this.#overlay.hit(x, y) ?? this.#selected));
    const countries = await loadCountries();
    this.#overlay.countries = countryNames(countries);
    await this.#map.showCountries(countries);
  }

  stop(): void {
    this.#ended.abort();
    this.#stream.close();
  }

  snapshot(vehicles: readonly VehicleState[]): void {
    this.#connected = true;
    this.#known = true;
    this.#lostMs = null;
    this.#retryAtMs = null;
    this.#change(() => this.#fleet.snapshot(vehicles, this.#nowMs()));
    this.#showTable();
  }

  moves(vehicles: readonly VehicleState[]): void {
    this.#change(() => this.#fleet.moves(vehicles, this.#nowMs()));
  }

  leave(keys: readonly string[]): void {
    this.#fleet.leave(keys);
    if (this.#selected !== null && keys.includes(this.#selected)) this.#select(null);
  }

  refused(message: string): void {
    console.info(`stream: ${message}`);
    this.#signedOut("This token is not known to the hub, or is no longer valid.");
  }

  lost(retryAtMs: number | null): void {
    if (this.#connected) this.#lostMs = this.#nowMs();
    this.#connected = false;
    this.#retryAtMs = retryAtMs;
    this.#showLink();
  }

  /** What tests and curious people may read: `window.odograph`. */
  get debug(): object {
    const nowMs = this.#nowMs();
    const vehicles = [...this.#fleet.vehicles.values()].map((vehicle) => ({
      id: vehicle.key,
      name: vehicle.state.name,
      lane: vehicle.lane,
      waiting: vehicle.state.q,
      fixMs: vehicle.state.live?.t ?? null,
      predicted: predicted(vehicle, nowMs),
      shown: shown(vehicle, nowMs),
      errorM: errorM(vehicle, nowMs, this.#lostMs),
      trail: vehicle.trail.length,
      track: this.#tracks.get(vehicle.key)?.fixes ?? 0,
    }));
    return { atMs: nowMs, connected: this.#connected, frames: this.#frames, selected: this.#selected, vehicles, map: this.#map?.view ?? null };
  }

  #nowMs(): number {
    return this.#stream.clock.hubMs();
  }

  #get(path: string): Promise<Response> {
    return fetch(path, { headers: { Authorization: `Bearer ${this.#token}` }, signal: this.#ended.signal });
  }

  async #tiles(): Promise<Tiles> {
    try {
      const body = (await (await this.#get("/page.json")).json()) as Partial<Tiles>;
      return { tile_url: body.tile_url ?? null, attribution: body.attribution ?? "" };
    } catch {
      return { tile_url: null, attribution: "" };
    }
  }

  #listen(filter: HTMLInputElement): void {
    const { signal } = this.#ended;
    const press = (id: string, act: () => void): void => need(id, HTMLElement).addEventListener("click", act, { signal });
    press("zoom-in", () => this.#zoom(1));
    press("zoom-out", () => this.#zoom(-1));
    press("whole-fleet", () => this.#wholeFleet());
    press("follow", () => this.#follow());
    press("retry", () => this.#stream.hurry());
    filter.addEventListener("input", () => this.#showTable(), { signal });
    window.addEventListener("online", () => this.#stream.hurry(), { signal });
    window.addEventListener("keydown", (event) => event.key === "Escape" && this.#select(null), { signal });
    document.addEventListener("visibilitychange", () => {
      this.#stream.look(document.hidden ? null : this.#selected);
      if (!document.hidden) this.#stream.hurry();
    }, { signal });
    need("map", HTMLElement).addEventListener("mousemove", (event) => {
      if (event.buttons === 0) this.#map?.pointer(this.#overlay.hit(event.offsetX, event.offsetY) !== null);
    }, { signal });
    darkScheme.addEventListener("change", () => {
      this.#overlay.recolour();
      this.#map?.recolour();
    }, { signal });
  }

  /** Applies news, and says aloud whose state is another one after it. */
  #change(apply: () => void): void {
    const before = new Map([...this.#fleet.vehicles].map(([key, vehicle]) => [key, vehicle.lane]));
    apply();
    const spoken = [...this.#fleet.vehicles.values()].filter(({ key, lane }) => {
      const former = before.get(key);
      const heard = before.size <= SPOKEN_FLEET || key === this.#selected;
      return former !== undefined && former !== lane && heard;
    });
    if (spoken.length > 0) {
      write(need("said", HTMLElement), spoken.map((vehicle) => `${vehicle.state.name}: ${laneText(vehicle, this.#nowMs())}`).join(". "));
    }
  }

  #frame(): void {
    if (this.#ended.signal.aborted) return;
    requestAnimationFrame(() => this.#frame());
    const now = localMs();
    if (this.#pass("table", now, TABLE_EVERY_MS)) this.#showTable();
    if (this.#pass("tracks", now, TRACKS_EVERY_MS)) void this.#tracks.tick(this.#fleet, this.#selected, this.#nowMs());
    if (this.#pass("view", now, VIEW_EVERY_MS)) this.#keepInView(true);
    if (!this.#pass("frame", now, reducedMotion.matches ? CALM_FRAME_MS : 0)) return;
    this.#frames += 1;
    const chosen = this.#chosen();
    const pose = chosen === null ? null : shown(chosen, this.#nowMs());
    if (this.#map?.mode === "follow" && pose !== null) this.#map.pull(pose);
    this.#draw();
  }

  #pass(what: "table" | "tracks" | "view" | "frame", now: number, everyMs: number): boolean {
    if (now < this.#due[what]) return false;
    this.#due[what] = now + everyMs;
    return true;
  }

  #draw(): void {
    if (this.#map === null) return;
    this.#overlay.draw(this.#map.view, {
      nowMs: this.#nowMs(),
      selected: this.#selected,
      vehicles: [...this.#fleet.vehicles.values()],
      trackEnd: (key) => this.#tracks.end(key),
      errorM: (vehicle) => this.#errorM(vehicle),
    });
  }

  #errorM(vehicle: Vehicle): number | null {
    return errorM(vehicle, this.#nowMs(), this.#lostMs);
  }

  #chosen(): Vehicle | null {
    return this.#selected === null ? null : (this.#fleet.vehicles.get(this.#selected) ?? null);
  }

  #showTable(): void {
    const vehicles = [...this.#fleet.vehicles.values()];
    const nowMs = this.#nowMs();
    this.#table.show(vehicles, {
      nowMs,
      lostMs: this.#lostMs,
      selected: this.#selected,
      errorM: (vehicle) => this.#errorM(vehicle),
    });
    this.#detail.show(this.#chosen(), this.#selected === null ? null : this.#tracks.get(this.#selected), nowMs);
    need("empty", HTMLElement).hidden = !this.#known || vehicles.length > 0;
    need("fleet", HTMLElement).hidden = vehicles.length === 0;
    if (!this.#fitted) this.#keepInView(false);
    this.#showLink();
    this.#showScale();
  }

  #showScale(): void {
    if (this.#map === null) return;
    const { widthPx, text, grid } = this.#map.scale();
    need("scale", HTMLElement).style.width = `${Math.round(widthPx)}px`;
    write(need("scale", HTMLElement), text);
    write(need("grid", HTMLElement), `grid ${grid}`);
  }

  #showLink(): void {
    const link = need("link", HTMLElement);
    const state = this.#connected ? "live" : this.#known ? "lost" : "waiting";
    link.dataset["state"] = state;
    write(link, { live: "Connected", lost: "Reconnecting", waiting: "Connecting" }[state]);
    need("banner", HTMLElement).hidden = this.#connected || (!this.#known && this.#retryAtMs === null);
    const seconds = this.#retryAtMs === null ? 0 : Math.max(0, Math.ceil((this.#retryAtMs - localMs()) / 1000));
    write(need("countdown", HTMLElement), this.#retryAtMs === null ? "Trying now …" : `Next try in ${seconds} s.`);
  }

  #keepInView(calm: boolean): void {
    if (this.#map === null || this.#map.mode !== "fleet") return;
    const places = [...this.#fleet.vehicles.values()].flatMap((vehicle) => shown(vehicle, this.#nowMs()) ?? []);
    if (places.length === 0) return;
    const around = [...this.#fleet.vehicles.keys()].flatMap((key) => this.#tracks.recent(key));
    this.#map.fit(places, around, calm);
    this.#fitted = true;
  }

  #zoom(steps: number): void {
    this.#map?.zoomBy(steps);
    this.#showCamera();
  }

  #wholeFleet(): void {
    if (this.#map === null) return;
    this.#map.mode = "fleet";
    this.#keepInView(false);
    this.#showCamera();
  }

  #follow(): void {
    const chosen = this.#chosen();
    const pose = chosen === null ? null : shown(chosen, this.#nowMs());
    if (this.#map === null || pose === null) return;
    this.#map.mode = "follow";
    this.#map.goTo(pose);
    this.#showCamera();
  }

  #select(key: string | null): void {
    if (key === this.#selected) return;
    this.#selected = key;
    this.#stream.look(key);
    if (key === null) {
      if (this.#map?.mode === "follow") this.#map.mode = "free";
    } else {
      this.#table.reveal(key);
      this.#follow();
    }
    this.#redrawTracks(false);
    this.#showTable();
    this.#showCamera();
  }

  #redrawTracks(first: boolean): void {
    if (first) this.#keepInView(false);
    void this.#map?.showTracks(this.#tracks.lines(this.#selected));
  }

  #showCamera(): void {
    const button = need("follow", HTMLElement);
    const chosen = this.#chosen();
    button.hidden = chosen === null;
    const following = this.#map?.mode === "follow";
    button.ariaPressed = String(following);
    write(button, chosen === null ? "" : following ? `Following ${chosen.state.name}` : `Follow ${chosen.state.name}`);
    need("whole-fleet", HTMLElement).ariaPressed = String(this.#map?.mode === "fleet");
  }
}
