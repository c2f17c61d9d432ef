import { defineConfig } from 'vite';

// One plain script that defines `checkVectors`: tests run it inside a real browser.
export default defineConfig({
  build: {
    outDir: 'node_modules/.vectors',
    lib: { entry: 'src/sealing/checkVectors.ts', name: 'vectors', formats: ['iife'], fileName: () => 'vectors.js' },
  },
});
