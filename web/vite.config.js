import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig } from 'vite';

// Everything in dist/ is compressed in place; the server sends it as it is, with `content-encoding: gzip`.
const gzip = {
  name: 'gzip',
  closeBundle() {
    for (const name of readdirSync('dist', { recursive: true })) {
      const path = join('dist', name);
      if (statSync(path).isFile()) writeFileSync(path, gzipSync(readFileSync(path), { level: 9 }));
    }
  },
};

export default defineConfig({
  base: './',
  build: {
    chunkSizeWarningLimit: Infinity,
    license: { fileName: 'licenses.txt' },
    modulePreload: { polyfill: false },
  },
  plugins: [gzip],
});
