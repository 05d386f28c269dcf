// Built by the web application's vite (make whip-page).
export default { base: "./", build: { outDir: "dist", emptyOutDir: true, chunkSizeWarningLimit: 2000 } };
