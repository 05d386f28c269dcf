import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../signalling/static",
    emptyOutDir: true,
    assetsDir: "assets",
    // The server's content security policy allows no data: address; every asset is a file.
    assetsInlineLimit: 0,
    target: "es2022",
    // React and react-aria together are most of it; every page needs both.
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: { "/ws": { target: "ws://127.0.0.1:8080", ws: true } },
  },
  test: {
    environment: "happy-dom",
    include: ["test/**/*.test.{ts,tsx}"],
    restoreMocks: true,
  },
});
