// The base map that needs no internet: countries from a file of our own, a grid, and tiles where a setting names them.
import type { FilterSpecification, SourceSpecification, StyleSpecification } from "maplibre-gl";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import countriesUrl from "world-atlas/countries-50m.json?url";

import { boxOf, METRIC_ZOOM, unrolled } from "./geometry.ts";
import type { Palette } from "./palette.ts";
import type { Place } from "./predict.ts";

export interface Tiles {
  readonly tile_url: string | null;
  readonly attribution: string;
}

export interface CountryName {
  readonly name: string;
  readonly place: Place;
  /** Width in degrees: a name is shown where it fits. */
  readonly span: number;
}

export type Countries = GeoJSON.FeatureCollection<GeoJSON.Geometry, { name: string }>;

const EMPTY: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };
const MAJOR: FilterSpecification = ["==", ["get", "major"], true];
const SELECTED: FilterSpecification = ["==", ["get", "selected"], true];
const OTHER: FilterSpecification = ["!=", ["get", "selected"], true];
const MINOR: FilterSpecification = ["!=", ["get", "major"], true];

export async function loadCountries(): Promise<Countries> {
  const topology = (await (await fetch(countriesUrl)).json()) as Topology<{
    countries: GeometryCollection<{ name: string }>;
  }>;
  const countries = feature(topology, topology.objects.countries);
  for (const { geometry } of countries.features) {
    if (geometry.type === "Polygon") geometry.coordinates = geometry.coordinates.map(unrolled);
    if (geometry.type === "MultiPolygon") geometry.coordinates = geometry.coordinates.map((rings) => rings.map(unrolled));
  }
  return countries;
}

/** Each name in the middle of the largest part of its country. */
export function countryNames(countries: Countries): CountryName[] {
  return countries.features.flatMap(({ geometry, properties }) => {
    const parts = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.type === "MultiPolygon" ? geometry.coordinates : [];
    const boxes = parts.map((rings) => boxOf((rings[0] ?? []).map(([lon = 0, lat = 0]) => ({ lat, lon }))));
    let best: [number, number, number, number] | null = null;
    for (const box of boxes) {
      const wider = (b: [number, number, number, number]): number => (b[2] - b[0]) * (b[3] - b[1]);
      if (box !== null && (best === null || wider(box) > wider(best))) best = box;
    }
    if (best === null) return [];
    const place = { lat: (best[1] + best[3]) / 2, lon: (best[0] + best[2]) / 2 };
    return [{ name: properties.name, place, span: best[2] - best[0] }];
  });
}

/** The servers that `{s}` in the host stands for; MapLibre takes them in turn. */
function hostsOf(url: string): string[] {
  return url.includes("{s}") ? ["a", "b", "c"].map((name) => url.replace("{s}", name)) : [url];
}

export function mapStyle(tiles: Tiles): StyleSpecification {
  const sources: Record<string, SourceSpecification> = {
    countries: { type: "geojson", data: EMPTY, tolerance: 0.2 },
    grid: { type: "geojson", data: EMPTY, tolerance: 0, maxzoom: 20 },
    tracks: { type: "geojson", data: EMPTY, tolerance: 0.1, maxzoom: 20, lineMetrics: true },
  };
  if (tiles.tile_url !== null) {
    sources["tiles"] = { type: "raster", tiles: hostsOf(tiles.tile_url), tileSize: 256, attribution: tiles.attribution };
  }
  const shown = tiles.tile_url === null ? ("visible" as const) : ("none" as const);
  const round = { "line-join": "round", "line-cap": "round" } as const;
  return {
    version: 8,
    sources,
    layers: [
      { id: "sea", type: "background" },
      { id: "land", type: "fill", source: "countries", paint: { "fill-antialias": true } },
      { id: "border", type: "line", source: "countries", paint: { "line-width": 0.8 } },
      ...(tiles.tile_url === null ? [] : [{ id: "tiles", type: "raster" as const, source: "tiles" }]),
      { id: "grid", type: "line", source: "grid", filter: MINOR, layout: { visibility: shown }, paint: { "line-width": 1 } },
      { id: "grid-major", type: "line", source: "grid", filter: MAJOR, layout: { visibility: shown }, paint: { "line-width": 1 } },
      { id: "track-edge", type: "line", source: "tracks", layout: round, paint: { "line-width": 6 } },
      { id: "track", type: "line", source: "tracks", filter: OTHER, layout: { "line-join": "round" }, paint: { "line-width": 2.5 } },
      { id: "track-selected", type: "line", source: "tracks", filter: SELECTED, layout: round, paint: { "line-width": 3.5 } },
    ],
  };
}

/** Paint values by layer; coasts this coarse would be a lie in a city, so sea and borders fade out before. */
export function paints(colours: Palette): [layer: string, property: string, value: unknown][] {
  const fading = (from: string, to: string): unknown => ["interpolate", ["linear"], ["zoom"], METRIC_ZOOM - 1.5, from, METRIC_ZOOM, to];
  return [
    ["sea", "background-color", fading(colours.sea, colours.land)],
    ["land", "fill-color", colours.land],
    ["border", "line-color", colours.border],
    ["border", "line-opacity", ["interpolate", ["linear"], ["zoom"], METRIC_ZOOM - 1, 1, METRIC_ZOOM, 0]],
    ["grid", "line-color", colours.grid],
    ["grid-major", "line-color", colours["grid-major"]],
    ["track-edge", "line-color", colours.land],
    ["track", "line-gradient", ["interpolate", ["linear"], ["line-progress"], 0, colours["track-old"], 1, colours["track-new"]]],
    ["track-selected", "line-color", colours.lanes.live],
  ];
}
