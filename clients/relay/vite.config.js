import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import relay from "vite-plugin-relay";

export default defineConfig({
  // Relay's plugin puts what relay-compiler has generated in the place of each graphql`…`.
  plugins: [react(), relay],
  // The server accepts only its own origin, so the development server forwards /graphql.
  server: { proxy: { "/graphql": "http://127.0.0.1:8000" } },
  build: { chunkSizeWarningLimit: 1000 },
});
