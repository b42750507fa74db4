// Web Mercator in the unit square, the screen as an affine view of it, and the steps of grid and scale bar. Pure.
import { METRES_PER_DEGREE, type Place } from "./predict.ts";

const TILE_PX = 512;
const EARTH_CIRCUMFERENCE_M = METRES_PER_DEGREE * 360;

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The camera: north is up and nothing is tilted, so a place is on the screen at (x − x0) × size. */
export interface View {
  readonly centre: Place;
  readonly zoom: number;
  readonly width: number;
  readonly height: number;
}

export function mercator(place: Place): Point {
  const sin = Math.sin((Math.max(-85.05, Math.min(85.05, place.lat)) * Math.PI) / 180);
  return { x: place.lon / 360 + 0.5, y: 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI) };
}

/** A function from place to pixel; of the copies of the world it takes the one next to the centre. */
export function projector(view: View): (place: Place) => Point {
  const size = TILE_PX * 2 ** view.zoom;
  const centre = mercator(view.centre);
  return (place) => {
    const { x, y } = mercator(place);
    const dx = x - centre.x;
    return { x: (dx - Math.round(dx)) * size + view.width / 2, y: (y - centre.y) * size + view.height / 2 };
  };
}

export function metresPerPixel(latDeg: number, zoom: number): number {
  return (EARTH_CIRCUMFERENCE_M * Math.cos((latDeg * Math.PI) / 180)) / (TILE_PX * 2 ** zoom);
}

/** The largest of 1, 2, 5 × 10ⁿ that is not above `limit`. */
export function roundStep(limit: number): number {
  const power = 10 ** Math.floor(Math.log10(limit));
  const lead = limit / power;
  return power * (lead >= 5 ? 5 : lead >= 2 ? 2 : 1);
}

export interface Grid {
  /** West, south, east, north in degrees; the grid covers more than the view, so that it need not follow each move. */
  readonly box: readonly [number, number, number, number];
  readonly lonStep: number;
  readonly latStep: number;
  readonly label: string;
}

/** Below this zoom the grid is one of degrees, from it on one of metres. */
export const METRIC_ZOOM = 8.5;
const CELL_PX = 110;

export const lengthText = (metres: number): string =>
  metres >= 1000 ? `${Math.round(metres / 1000).toLocaleString("en")} km` : `${metres} m`;

/** A grid of about a hundred pixels a cell; metres are true in the middle of its band of one degree of latitude. */
export function gridOf(view: View): Grid {
  const spanLon = (view.width / (TILE_PX * 2 ** view.zoom)) * 360;
  const cosine = Math.cos((view.centre.lat * Math.PI) / 180);
  const spanLat = (view.height / (TILE_PX * 2 ** view.zoom)) * 360 * Math.max(0.05, cosine);
  const box = [
    view.centre.lon - spanLon * 1.5,
    Math.max(-85, view.centre.lat - spanLat * 1.5),
    view.centre.lon + spanLon * 1.5,
    Math.min(85, view.centre.lat + spanLat * 1.5),
  ] as const;
  if (view.zoom < METRIC_ZOOM) {
    const wanted = (spanLon / view.width) * CELL_PX * 2;
    const step = [0.5, 1, 2, 5, 10, 15, 30].find((degrees) => degrees >= wanted) ?? 30;
    return { box, lonStep: step, latStep: step, label: `${step}°` };
  }
  const metres = roundStep(metresPerPixel(view.centre.lat, view.zoom) * CELL_PX * 1.6);
  const band = Math.cos((Math.round(view.centre.lat) * Math.PI) / 180);
  const latStep = metres / METRES_PER_DEGREE;
  return { box, lonStep: latStep / Math.max(0.05, band), latStep, label: lengthText(metres) };
}

/** The lines of a grid; every fifth is a `major` one. */
export function gridLines(grid: Grid): GeoJSON.FeatureCollection<GeoJSON.LineString> {
  const [west, south, east, north] = grid.box;
  const features: GeoJSON.Feature<GeoJSON.LineString>[] = [];
  const add = (index: number, coordinates: [number, number][]): void => {
    const properties = { major: index % 5 === 0 };
    features.push({ type: "Feature", properties, geometry: { type: "LineString", coordinates } });
  };
  for (let i = Math.ceil(west / grid.lonStep); i * grid.lonStep <= east; i++) {
    add(i, [[i * grid.lonStep, south], [i * grid.lonStep, north]]);
  }
  for (let i = Math.ceil(south / grid.latStep); i * grid.latStep <= north; i++) {
    add(i, [[west, i * grid.latStep], [east, i * grid.latStep]]);
  }
  return { type: "FeatureCollection", features };
}

/** The smallest box around the places, or null for none. */
export function boxOf(places: Iterable<Place>): [number, number, number, number] | null {
  let box: [number, number, number, number] | null = null;
  for (const { lat, lon } of places) {
    box = box === null
      ? [lon, lat, lon, lat]
      : [Math.min(box[0], lon), Math.min(box[1], lat), Math.max(box[2], lon), Math.max(box[3], lat)];
  }
  return box;
}

export function distanceM(a: Place, b: Place): number {
  const north = (b.lat - a.lat) * METRES_PER_DEGREE;
  const east = (b.lon - a.lon) * METRES_PER_DEGREE * Math.cos((a.lat * Math.PI) / 180);
  return Math.hypot(north, east);
}

/**
 * A ring that lies on a sphere, for a flat map: where it crosses the date line it goes on beyond 180°, and one around a
 * pole is closed along the edge of the map.
 */
export function unrolled(ring: GeoJSON.Position[]): GeoJSON.Position[] {
  let [turns, before] = [0, ring[0]?.[0] ?? 0];
  const flat = ring.map(([lon = 0, lat = 0]): GeoJSON.Position => {
    if (lon - before > 180) turns -= 360;
    if (lon - before < -180) turns += 360;
    before = lon;
    return [lon + turns, lat];
  });
  const [first, last] = [flat[0], flat.at(-1)];
  if (turns === 0 || first === undefined || last === undefined) return flat;
  const pole = (last[1] ?? 0) < 0 ? -89 : 89;
  return [...flat, [last[0] ?? 0, pole], [first[0] ?? 0, pole], first];
}
