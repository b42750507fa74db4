// Projection, round steps, grids and the committed tracks as they grow.
import assert from "node:assert/strict";
import { test } from "node:test";

import { gridLines, gridOf, mercator, metresPerPixel, projector, roundStep, unrolled } from "../../../hub/pages/src/geometry.ts";
import { extended, segmentsOf, type Track } from "../../../hub/pages/src/track.ts";

const view = { centre: { lat: 41.25, lon: -96 }, zoom: 14, width: 800, height: 600 };

test("the centre is in the middle, and a metre is as long as it should be", () => {
  const project = projector(view);
  assert.deepEqual(project(view.centre), { x: 400, y: 300 });
  const east = project({ lat: 41.25, lon: -96 + 1000 / (111_194.93 * Math.cos((41.25 * Math.PI) / 180)) });
  assert.ok(Math.abs(east.x - 400 - 1000 / metresPerPixel(41.25, 14)) < 0.01);
  assert.deepEqual(mercator({ lat: 0, lon: 0 }), { x: 0.5, y: 0.5 });
});

test("over the date line the near copy is taken", () => {
  const project = projector({ ...view, centre: { lat: 0, lon: 179.999 } });
  const { x } = project({ lat: 0, lon: -179.999 });
  assert.ok(x > 400 && x < 500);
});

test("steps are 1, 2 or 5 times a power of ten", () => {
  assert.deepEqual([0.9, 1, 4.9, 5, 99, 1234].map(roundStep).map((n) => Number(n.toPrecision(3))), [0.5, 1, 2, 5, 50, 1000]);
});

test("a grid is metric in a city and in degrees above, and never thousands of lines", () => {
  for (let zoom = 1; zoom <= 19; zoom += 0.5) {
    for (const lat of [0, 41, 84, -84]) {
      const grid = gridOf({ ...view, zoom, centre: { lat, lon: -96 } });
      const lines = gridLines(grid).features.length;
      assert.ok(lines > 4 && lines < 400, `${lines} lines at zoom ${zoom}, latitude ${lat}`);
    }
  }
  assert.equal(gridOf(view).label, "500 m");
  assert.equal(gridOf({ ...view, zoom: 4 }).label.endsWith("°"), true);
});

const none: Track = { segments: [], sinceMs: 0, throughMs: -1, metres: 0, fixes: 0 };
const track = (times: number[][] | undefined, ...lons: number[]): GeoJSON.Feature => ({
  type: "Feature",
  properties: { vehicle: "van-1", ...(times && { times }) },
  geometry: { type: "MultiLineString", coordinates: lons.map((lon) => [[lon, 41], [lon + 0.001, 41]]) },
});

test("a track grows at its end, joined where the times allow it", () => {
  const first = extended(none, segmentsOf(track([[1000, 2000]], 10)), 0);
  const second = extended(first, segmentsOf(track([[3000, 4000]], 10.002)), 0);
  assert.deepEqual([second.segments.length, second.fixes, second.throughMs], [1, 4, 4000]);
  const third = extended(second, segmentsOf(track([[90_000, 91_000], [200_000, 201_000]], 11, 12)), 0);
  assert.deepEqual([third.segments.length, third.throughMs], [3, 201_000]);
  assert.ok(Math.abs(second.metres - 3 * 83.9) < 1);
});

test("a track without times goes as far as the hub said, an empty one adds nothing", () => {
  assert.equal(extended(none, segmentsOf(track(undefined, 10)), 777).throughMs, 777);
  assert.deepEqual(segmentsOf(track([])), []);
});

test("rings go on over the date line, and the one around the pole is closed along the edge", () => {
  const island = [[179, 1], [-179, 1], [-179, 2], [179, 2], [179, 1]];
  assert.deepEqual(unrolled(island), [[179, 1], [181, 1], [181, 2], [179, 2], [179, 1]]);
  const continent = [[-170, -70], [-60, -75], [60, -70], [170, -72], [-170, -70]];
  assert.deepEqual(unrolled(continent).slice(3), [[170, -72], [190, -70], [190, -89], [-170, -89], [-170, -70]]);
});
