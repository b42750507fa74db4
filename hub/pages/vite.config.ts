// How the page is built: plain files under dist/, nothing inline, so that a strict Content-Security-Policy holds.
import { defineConfig } from "vite";

export default defineConfig({
  build: {
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1500,
    license: { fileName: "licenses.md" },
    modulePreload: { polyfill: false },
    outDir: "dist",
    target: "es2022",
  },
  server: { proxy: { "/v1": { target: "http://127.0.0.1:8080", ws: true }, "/page.json": "http://127.0.0.1:8080" } },
});
