// Vehicles, trails, error circles and names, drawn on a canvas above the map: no DOM node and no map layer per vehicle.
import type { CountryName } from "./basemap.ts";
import { type Pose, shown, type TrailPoint, type Vehicle } from "./fleet.ts";
import { metresPerPixel, type Point, projector, type View } from "./geometry.ts";
import { type Palette, palette } from "./palette.ts";
import type { Place } from "./predict.ts";

const FONT = '"Inter Variable", system-ui, sans-serif';
const HIT_PX = 26;
const SPRITE_PX = 44;
const MANY = 150;
const CIRCLE_MIN_PX = 16;
const CIRCLE_MAX_M = 20_000;
const STOPPED_MPS = 0.5;
const NAMES_ZOOM = 6.5;

export interface Scene {
  readonly nowMs: number;
  readonly selected: string | null;
  readonly vehicles: readonly Vehicle[];
  readonly trackEnd: (key: string) => { place: Place; t: number } | null;
  readonly errorM: (vehicle: Vehicle) => number | null;
}

interface Drawn {
  readonly vehicle: Vehicle;
  readonly pose: Pose;
  readonly at: Point;
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

const touches = (a: Box, b: Box): boolean => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

export class Overlay {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  #colours: Palette = palette();
  #drawn: readonly Drawn[] = [];
  readonly #sprites = new Map<string, HTMLCanvasElement>();
  countries: readonly CountryName[] = [];

  constructor(canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d");
    if (context === null) throw new Error("no 2D canvas");
    this.#canvas = canvas;
    this.#context = context;
  }

  recolour(): void {
    this.#colours = palette();
    this.#sprites.clear();
  }

  /** The key of the vehicle at a pixel; of several, the nearest. */
  hit(x: number, y: number): string | null {
    let best: { key: string; px: number } | null = null;
    for (const { vehicle, at } of this.#drawn) {
      const px = Math.hypot(at.x - x, at.y - y);
      if (px < HIT_PX && (best === null || px < best.px)) best = { key: vehicle.key, px };
    }
    return best?.key ?? null;
  }

  draw(view: View, scene: Scene): void {
    const context = this.#context;
    this.#resize(view);
    context.clearRect(0, 0, view.width, view.height);
    const project = projector(view);
    this.#drawn = this.#place(view, scene, project);
    const [selected, others] = [
      this.#drawn.filter(({ vehicle }) => vehicle.key === scene.selected),
      this.#drawn.filter(({ vehicle }) => vehicle.key !== scene.selected),
    ];
    if (view.zoom < NAMES_ZOOM) this.#names(view, project);
    for (const drawn of this.#drawn) this.#circle(view, drawn, scene);
    const trailed = this.#drawn.length <= MANY ? [...others, ...selected] : selected;
    for (const drawn of trailed) this.#trail(drawn, scene, project);
    for (const drawn of others) this.#vehicle(drawn, false);
    for (const drawn of selected) this.#vehicle(drawn, true);
    this.#labels(this.#drawn.length <= MANY ? [...selected, ...others] : selected, scene.selected, view.width);
  }

  #resize(view: View): void {
    const ratio = window.devicePixelRatio;
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  #place(view: View, scene: Scene, project: (place: Place) => Point): Drawn[] {
    const margin = 400;
    return scene.vehicles.flatMap((vehicle) => {
      const pose = shown(vehicle, scene.nowMs);
      if (pose === null) return [];
      const at = project(pose);
      const seen = at.x > -margin && at.y > -margin && at.x < view.width + margin && at.y < view.height + margin;
      return seen ? [{ vehicle, pose, at }] : [];
    });
  }

  #names(view: View, project: (place: Place) => Point): void {
    const context = this.#context;
    context.font = `500 11px ${FONT}`;
    context.fillStyle = this.#colours.muted;
    context.globalAlpha = 0.75;
    context.textAlign = "center";
    const pixelsPerDegree = (512 * 2 ** view.zoom) / 360;
    for (const { name, place, span } of this.countries) {
      if (span * pixelsPerDegree < context.measureText(name).width + 24) continue;
      const { x, y } = project(place);
      context.fillText(name, x, y);
    }
    context.globalAlpha = 1;
    context.textAlign = "start";
  }

  #circle(view: View, { vehicle, pose, at }: Drawn, scene: Scene): void {
    const metres = scene.errorM(vehicle);
    if (metres === null || metres > CIRCLE_MAX_M) return;
    const radius = metres / metresPerPixel(pose.lat, view.zoom);
    if (radius < CIRCLE_MIN_PX) return;
    const context = this.#context;
    const colour = this.#colours.lanes[vehicle.lane];
    context.beginPath();
    context.arc(at.x, at.y, radius, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.globalAlpha = 0.09;
    context.fill();
    context.globalAlpha = 0.35;
    context.lineWidth = 1;
    context.strokeStyle = colour;
    context.stroke();
    context.globalAlpha = 1;
  }

  /** From the end of what is committed, over what came live, to the vehicle; dashed where the way is not known yet. */
  #trail({ vehicle, at }: Drawn, scene: Scene, project: (place: Place) => Point): void {
    const end = scene.trackEnd(vehicle.key);
    const points = vehicle.trail.filter((point) => end === null || point.t > end.t);
    const behind = vehicle.lane === "catching-up" || vehicle.lane === "offline";
    const path: { at: Point; gap: boolean }[] = end === null ? [] : [{ at: project(end.place), gap: false }];
    const gapAfter = (point: TrailPoint, i: number): boolean => point.gap || (i === 0 && end !== null && behind && point.t - end.t > 10_000);
    points.forEach((point, i) => path.push({ at: project(point), gap: gapAfter(point, i) }));
    path.push({ at, gap: false });
    const strong = vehicle.key === scene.selected;
    this.#strokes(path, this.#colours.lanes[vehicle.lane], strong ? 3.5 : 2.5, strong ? 1 : 0.75);
  }

  #strokes(path: readonly { at: Point; gap: boolean }[], colour: string, width: number, alpha: number): void {
    const context = this.#context;
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.lineJoin = "round";
    context.globalAlpha = alpha;
    for (const dashed of [false, true]) {
      context.beginPath();
      context.lineCap = dashed ? "round" : "butt";
      context.setLineDash(dashed ? [1, width * 2.2] : []);
      for (let i = 1; i < path.length; i++) {
        const [from, to] = [path[i - 1], path[i]];
        if (from === undefined || to === undefined || to.gap !== dashed) continue;
        if (i === 1 || path[i - 1]?.gap !== dashed || dashed) context.moveTo(from.at.x, from.at.y);
        context.lineTo(to.at.x, to.at.y);
      }
      context.stroke();
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  #vehicle({ vehicle, pose, at }: Drawn, selected: boolean): void {
    const context = this.#context;
    const moving = pose.speedMps > STOPPED_MPS && vehicle.lane !== "offline";
    const size = this.#drawn.length > MANY ? 0.65 : selected ? 1.2 : 1;
    context.save();
    context.translate(at.x, at.y);
    if (selected) this.#halo(this.#colours.lanes[vehicle.lane]);
    context.scale(size, size);
    if (moving) context.rotate((pose.courseDeg * Math.PI) / 180);
    const sprite = this.#sprite(this.#colours.lanes[vehicle.lane], moving);
    context.drawImage(sprite, -SPRITE_PX / 2, -SPRITE_PX / 2, SPRITE_PX, SPRITE_PX);
    context.restore();
  }

  /** An arrow or a dot, drawn once: shadows are dear, and there may be thousands of vehicles. */
  #sprite(colour: string, moving: boolean): HTMLCanvasElement {
    const key = `${colour} ${moving} ${window.devicePixelRatio}`;
    const known = this.#sprites.get(key);
    if (known !== undefined) return known;
    const sprite = document.createElement("canvas");
    const ratio = window.devicePixelRatio * 1.2;
    sprite.width = sprite.height = Math.ceil(SPRITE_PX * ratio);
    const context = sprite.getContext("2d");
    if (context !== null) {
      context.scale(ratio, ratio);
      context.translate(SPRITE_PX / 2, SPRITE_PX / 2);
      this.#shape(context, colour, moving);
    }
    this.#sprites.set(key, sprite);
    return sprite;
  }

  #shape(context: CanvasRenderingContext2D, colour: string, moving: boolean): void {
    context.beginPath();
    if (moving) {
      context.moveTo(0, -13);
      context.lineTo(9, 10);
      context.quadraticCurveTo(0, 4.5, -9, 10);
      context.closePath();
    } else context.arc(0, 0, 7, 0, 2 * Math.PI);
    context.shadowColor = "rgb(0 0 0 / 0.35)";
    context.shadowBlur = 6;
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = this.#colours.surface;
    context.stroke();
    context.shadowColor = "transparent";
    context.fillStyle = colour;
    context.fill();
  }

  #halo(colour: string): void {
    const context = this.#context;
    context.beginPath();
    context.arc(0, 0, 24, 0, 2 * Math.PI);
    context.globalAlpha = 0.16;
    context.fillStyle = colour;
    context.fill();
    context.globalAlpha = 1;
  }

  /** Names on small plates; one that would cover another is left out, the selected vehicle's comes first. */
  #labels(drawn: readonly Drawn[], selected: string | null, width: number): void {
    const context = this.#context;
    context.font = `600 12px ${FONT}`;
    context.textBaseline = "middle";
    const taken: Box[] = [];
    for (const { vehicle, at } of drawn) {
      const chosen = vehicle.key === selected;
      const w = context.measureText(vehicle.state.name).width + 16;
      const beside = chosen ? 30 : 19;
      const left = at.x + beside + w > width - 4;
      const box: Box = { x: left ? at.x - beside - w : at.x + beside, y: at.y - 11, w, h: 22 };
      if (taken.some((other) => touches(box, other))) continue;
      taken.push(box);
      this.#plate(box, vehicle, chosen);
    }
    context.textBaseline = "alphabetic";
  }

  #plate(box: Box, vehicle: Vehicle, chosen: boolean): void {
    const context = this.#context;
    const colours = this.#colours;
    context.beginPath();
    context.roundRect(Math.round(box.x) + 0.5, Math.round(box.y) + 0.5, Math.round(box.w), box.h, 6);
    context.fillStyle = chosen ? colours.lanes[vehicle.lane] : colours.surface;
    context.globalAlpha = chosen ? 1 : 0.92;
    context.fill();
    context.globalAlpha = 1;
    if (!chosen) {
      context.lineWidth = 1;
      context.strokeStyle = colours.line;
      context.stroke();
    }
    context.fillStyle = chosen ? colours["on-accent"] : vehicle.lane === "offline" ? colours.muted : colours.ink;
    context.fillText(vehicle.state.name, box.x + 8, box.y + box.h / 2 + 1);
  }
}
