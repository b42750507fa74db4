// The page predicts what Python predicts: every vector of tests/recordings/predict.json, to 1e-9 degrees.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";

import { boundM, heading, type Live, predict } from "../../../hub/pages/src/predict.ts";

interface Vector {
  readonly live: Live;
  readonly at_ms: number;
  readonly lat: number;
  readonly lon: number;
}

const file = resolve(process.cwd(), "../../tests/recordings/predict.json");
const vectors = JSON.parse(readFileSync(file, "utf8")) as Vector[];

test("there are vectors", () => assert.ok(vectors.length >= 50));

test("every vector is met", () => {
  for (const { live, at_ms, lat, lon } of vectors) {
    const place = predict(live, at_ms);
    const what = `${JSON.stringify(live)} at ${at_ms}`;
    assert.ok(Math.abs(place.lat - lat) <= 1e-9, `latitude ${place.lat}, not ${lat}: ${what}`);
    assert.ok(Math.abs(place.lon - lon) <= 1e-9, `longitude ${place.lon}, not ${lon}: ${what}`);
  }
});

test("the bound is ε until the heartbeat is overdue, and grows by 40 m/s from then", () => {
  const moving = { t: 1000, spd: 10, eps: 10 };
  assert.equal(boundM(moving, 66_000, true), 10);
  assert.equal(boundM(moving, 67_000, true), 50);
  assert.equal(boundM(moving, 2000, false), 50);
  assert.equal(boundM({ ...moving, spd: 0 }, 306_000, true), 10);
  assert.equal(boundM({ ...moving, spd: 0 }, 307_000, true), 50);
  assert.equal(boundM({ ...moving, spd: 0, hb: 900 }, 906_000, true), 10);
});

test("acceleration and turn act for two seconds, and speed does not go below zero", () => {
  const live = { t: 0, lat: 41, lon: -96, spd: 3, crs: 350, a: -2, w: 10 };
  assert.deepEqual(heading(live, 1000), { speedMps: 1, courseDeg: 0 });
  assert.deepEqual(heading(live, 9000), { speedMps: 0, courseDeg: 10 });
  assert.deepEqual(predict(live, 2000), predict(live, 60_000));
});
