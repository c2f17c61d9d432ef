import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  base: '/dashboard/',
  plugins: [react(), tailwindcss()],
  // No inlined assets and no preload helper that writes into the page: the content policy allows files of our own origin only.
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, sourcemap: false },
});
