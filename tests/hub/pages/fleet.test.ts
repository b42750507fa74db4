// Lanes, trails with their gaps, glide after a correction, and the error bound as the page shows it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { errorM, Fleet, GLIDE_MS, laneOf, predicted, shown } from "../../../hub/pages/src/fleet.ts";
import { frameOf, type VehicleState } from "../../../hub/pages/src/frames.ts";
import type { Live } from "../../../hub/pages/src/predict.ts";
import { bound, laneText } from "../../../hub/pages/src/text.ts";

const T = 1_760_000_000_000;
const live = (more: Partial<Live> = {}): Live => ({ t: T, lat: 41, lon: -96, spd: 10, crs: 90, eps: 10, ...more });
const van = (more: Partial<VehicleState> = {}): VehicleState => ({
  veh: "van-1", name: "Van 1", on: true, live: live(), rx: T + 100, q: 0, through: null, catching_up: false, ...more,
});

function only(fleet: Fleet) {
  const vehicle = fleet.vehicles.get("van-1");
  assert.ok(vehicle);
  return vehicle;
}

test("each state has its lane and its words", () => {
  assert.equal(laneOf(van()), "live");
  assert.equal(laneOf(van({ catching_up: true })), "catching-up");
  assert.equal(laneOf(van({ on: false, catching_up: true })), "offline");
  assert.equal(laneOf(van({ live: null })), "waiting");
  assert.equal(laneOf(van({ on: false, live: null, rx: null })), "waiting");
  const fleet = new Fleet();
  fleet.snapshot([van({ catching_up: true, q: 1234 })], T);
  assert.equal(laneText(only(fleet), T), "catching up · 1,234 fixes to go");
  fleet.moves([van({ catching_up: true, q: 1 })], T);
  assert.equal(laneText(only(fleet), T), "catching up · 1 fix to go");
});

test("a correction is blended away within the glide time, without a jump", () => {
  const fleet = new Fleet();
  fleet.snapshot([van()], T);
  const before = shown(only(fleet), T + 5000);
  fleet.moves([van({ live: live({ t: T + 5000, lat: 41.0001, lon: -95.9994, crs: 80 }) })], T + 5000);
  const after = shown(only(fleet), T + 5000);
  assert.ok(before && after);
  for (const key of ["lat", "lon", "courseDeg"] as const) assert.ok(Math.abs(before[key] - after[key]) < 1e-9, key);
  const end = T + 5000 + GLIDE_MS;
  assert.deepEqual(shown(only(fleet), end), predicted(only(fleet), end));
});

test("a course is turned the short way over north", () => {
  const fleet = new Fleet();
  fleet.snapshot([van({ live: live({ crs: 359 }) })], T);
  fleet.moves([van({ live: live({ t: T + 1000, crs: 3 }) })], T + 1000);
  assert.equal(Math.round(shown(only(fleet), T + 1000)?.courseDeg ?? 0), -1);
});

test("an offline vehicle is held where it was expected when the link was lost", () => {
  const fleet = new Fleet();
  fleet.snapshot([van()], T);
  fleet.moves([van({ on: false })], T + 7000);
  assert.deepEqual(predicted(only(fleet), T + 90_000), predicted(only(fleet), T + 7000));
  assert.equal(errorM(only(fleet), T + 10_000, null), 410);
});

test("when the page loses the hub, the bound grows from then", () => {
  const fleet = new Fleet();
  fleet.snapshot([van()], T);
  assert.equal(errorM(only(fleet), T + 20_000, null), 10);
  assert.equal(errorM(only(fleet), T + 20_000, T + 19_000), 50);
});

test("the trail marks what was missed, and repeats add nothing", () => {
  const fleet = new Fleet();
  fleet.snapshot([van()], T);
  fleet.moves([van()], T + 1);
  fleet.moves([van({ live: live({ t: T + 15_000, lon: -95.99 }), catching_up: true, q: 9 })], T + 15_000);
  fleet.moves([van({ live: live({ t: T + 16_000, lon: -95.98 }), catching_up: true, q: 5 })], T + 16_000);
  assert.deepEqual(only(fleet).trail.map(({ t, gap }) => [t - T, gap]), [[0, false], [15_000, true], [16_000, false]]);
});

test("a backlog that was stored is told for a while, also when no frame told of it before", () => {
  const fleet = new Fleet();
  fleet.snapshot([van()], T);
  fleet.moves([van({ on: false })], T + 1000);
  fleet.moves([van({ on: false, catching_up: true, q: 16, live: live({ t: T + 9000, q: 16 }) })], T + 9000);
  fleet.moves([van({ live: live({ t: T + 9000, q: 16 }) })], T + 9001);
  assert.equal(laneText(only(fleet), T + 9500), "live · 16 fixes caught up");
  assert.equal(laneText(only(fleet), T + 30_000), "live");
  fleet.moves([van({ on: false, live: live({ t: T + 9000, q: 16 }) })], T + 40_000);
  fleet.moves([van({ live: live({ t: T + 50_000, q: 1 }) })], T + 50_000);
  assert.equal(laneText(only(fleet), T + 50_000), "live · 1 fix caught up");
  fleet.moves([van({ on: false, live: live({ t: T + 50_000, q: 1 }) })], T + 70_000);
  fleet.moves([van({ live: live({ t: T + 50_000, q: 1 }) })], T + 71_000);
  assert.equal(laneText(only(fleet), T + 71_000), "live", "nothing was late");
});

test("a snapshot removes who is gone, leave does too", () => {
  const fleet = new Fleet();
  fleet.snapshot([van(), van({ veh: "van-2" })], T);
  fleet.snapshot([van()], T);
  assert.deepEqual([...fleet.vehicles.keys()], ["van-1"]);
  fleet.leave(["van-1"]);
  assert.equal(fleet.vehicles.size, 0);
});

test("frames are judged: what is not one is null, what is incomplete is left out", () => {
  for (const text of ["", "{", "[]", "7", '{"op":"dance"}', '{"op":"hello"}', '{"op":"moves","at":1}']) assert.equal(frameOf(text), null, text);
  const frame = frameOf('{"op":"moves","id":1,"at":5,"vehicles":[{"veh":"a","on":true,"live":{"t":1}},{"name":"b"},null]}');
  assert.deepEqual(frame, {
    op: "moves", sub: 1, at: 5,
    vehicles: [{ veh: "a", name: "a", on: true, live: null, rx: null, q: 0, through: null, catching_up: false }],
  });
  assert.deepEqual(frameOf('{"op":"bye"}'), { op: "bye", retry_ms: 1000 });
});

test("bounds read in metres, then kilometres", () => {
  assert.deepEqual(bound(10), { value: "±\u200910", unit: "m" });
  assert.deepEqual(bound(1234), { value: "±\u20091.2", unit: "km" });
  assert.deepEqual(bound(123_400), { value: "±\u2009123", unit: "km" });
});
