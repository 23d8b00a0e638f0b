import { defineConfig } from "vitest/config";

// In processes, as each loads the addon; a case that hangs is ended.
export default defineConfig({ test: { include: ["test/**/*.test.ts"], pool: "forks", testTimeout: 60_000 } });
