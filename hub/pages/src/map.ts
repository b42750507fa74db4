// The map: camera, base layers, committed tracks, grid. Vehicles are drawn above it, by overlay.ts.
import "maplibre-gl/dist/maplibre-gl.css";

import { AttributionControl, type GeoJSONSource, Map as GlMap, setWorkerUrl } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?url";

import { type Countries, mapStyle, paints, type Tiles } from "./basemap.ts";
import { reducedMotion } from "./dom.ts";
import { boxOf, gridLines, gridOf, lengthText, metresPerPixel, projector, roundStep, type View } from "./geometry.ts";
import { palette } from "./palette.ts";
import type { Place } from "./predict.ts";

setWorkerUrl(workerUrl);

const CLOSE_ZOOM = 15;
const SCALE_PX = 120;
const MARGIN_PX = 90;
/** What the buttons on the right cover. */
const BUTTONS_PX = 56;
/** Which part of the way to the followed vehicle the camera goes in one frame. */
const PULL = 0.15;

/** `fleet` keeps all vehicles in view, `follow` one; `free` is where the user has taken the map. */
export type CameraMode = "fleet" | "follow" | "free";

export class LiveMap {
  readonly #map: GlMap;
  readonly #ready: Promise<unknown>;
  #gridKey = "";
  mode: CameraMode = "fleet";

  constructor(container: HTMLElement, tiles: Tiles, onUserMove: () => void) {
    this.#map = new GlMap({
      container,
      style: mapStyle(tiles),
      center: [10, 30],
      zoom: 1.4,
      minZoom: 1,
      maxZoom: 19,
      maxPitch: 0,
      dragRotate: false,
      touchPitch: false,
      pitchWithRotate: false,
      attributionControl: false,
      fadeDuration: 0,
    });
    this.#map.touchZoomRotate.disableRotation();
    this.#map.keyboard.disableRotation();
    this.#map.getCanvas().setAttribute("aria-label", "Map of the fleet");
    if (tiles.tile_url !== null) this.#map.addControl(new AttributionControl({ compact: false }));
    this.#ready = this.#map.once("load");
    this.#map.on("dragstart", () => this.#free(onUserMove));
    this.#map.on("wheel", () => this.mode === "fleet" && this.#free(onUserMove));
    this.#map.on("load", () => this.recolour());
    this.#map.on("move", () => this.#drawGrid());
    this.#map.on("resize", () => this.#drawGrid());
    void this.#ready.then(() => this.#drawGrid());
  }

  onRender(draw: () => void): void {
    this.#map.on("render", draw);
  }

  onClick(clicked: (x: number, y: number) => void): void {
    this.#map.on("click", (event) => clicked(event.point.x, event.point.y));
  }

  get view(): View {
    const { lat, lng } = this.#map.getCenter();
    const { clientWidth, clientHeight } = this.#map.getContainer();
    return { centre: { lat, lon: lng }, zoom: this.#map.getZoom(), width: clientWidth, height: clientHeight };
  }

  async showCountries(countries: Countries): Promise<void> {
    await this.#ready;
    this.#source("countries")?.setData(countries);
  }

  async showTracks(lines: GeoJSON.FeatureCollection): Promise<void> {
    await this.#ready;
    this.#source("tracks")?.setData(lines);
  }

  recolour(): void {
    for (const [layer, property, value] of paints(palette())) {
      this.#map.setPaintProperty(layer, property as "line-color", value as string);
    }
  }

  pointer(over: boolean): void {
    this.#map.getCanvas().style.cursor = over ? "pointer" : "";
  }

  zoomBy(steps: number): void {
    if (this.mode === "fleet") this.mode = "free";
    this.#map.easeTo({ zoom: this.#map.getZoom() + steps, duration: 250 });
  }

  /** All places in view, and what is around them; `calm` leaves the camera where it is as long as the places are in it. */
  fit(places: readonly Place[], around: readonly Place[], calm: boolean): void {
    const box = boxOf([...places, ...around]);
    if (box === null) return;
    const { width, height } = this.view;
    const margin = Math.min(MARGIN_PX, width / 6, height / 6);
    const project = projector(this.view);
    const inside = places.every((place) => {
      const { x, y } = project(place);
      return x > margin / 2 && y > margin / 2 && x < width - margin / 2 - BUTTONS_PX && y < height - margin / 2;
    });
    if (calm && inside) return;
    const duration = calm && !reducedMotion.matches ? 1200 : 0;
    const padding = { top: margin, bottom: margin, left: margin, right: margin + BUTTONS_PX };
    this.#map.fitBounds(box, { padding, maxZoom: CLOSE_ZOOM, duration, linear: true });
  }

  goTo(place: Place): void {
    const zoom = Math.max(this.#map.getZoom(), CLOSE_ZOOM - 0.5);
    this.#map.easeTo({ center: [place.lon, place.lat], zoom, duration: 900 });
  }

  /** One frame of following: a soft pull, so that corrections do not shake the ground. */
  pull(place: Place): void {
    if (this.#map.isMoving()) return;
    const { x, y } = projector(this.view)(place);
    const { width, height } = this.view;
    const [dx, dy] = [x - width / 2, y - height / 2];
    if (Math.hypot(dx, dy) < 0.4) return;
    const part = reducedMotion.matches ? 1 : PULL;
    this.#map.jumpTo({ center: this.#map.unproject([width / 2 + dx * part, height / 2 + dy * part]) });
  }

  /** Length and text of the scale bar, and what a cell of the grid measures. */
  scale(): { widthPx: number; text: string; grid: string } {
    const view = this.view;
    const perPixel = metresPerPixel(view.centre.lat, view.zoom);
    const metres = roundStep(perPixel * SCALE_PX);
    return { widthPx: metres / perPixel, text: lengthText(metres), grid: gridOf(view).label };
  }

  #free(tell: () => void): void {
    if (this.mode === "free") return;
    this.mode = "free";
    tell();
  }

  #source(id: string): GeoJSONSource | undefined {
    return this.#map.getSource<GeoJSONSource>(id);
  }

  /** New lines only when the step or the third of a view changes in which the centre is. */
  #drawGrid(): void {
    const view = this.view;
    const grid = gridOf(view);
    const cell = (grid.box[2] - grid.box[0]) / 6;
    const key = [grid.label, Math.round(view.zoom), Math.round(view.centre.lon / cell), Math.round(view.centre.lat / cell)].join();
    if (key === this.#gridKey) return;
    const source = this.#source("grid");
    if (source === undefined) return;
    this.#gridKey = key;
    source.setData(gridLines(grid));
  }
}
