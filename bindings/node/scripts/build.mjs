// Compiles src/ twice: dist/esm for `import`, dist/cjs for `require`.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
if (existsSync(join(root, "src"))) {
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  for (const [kind, type] of [["esm", "module"], ["cjs", "commonjs"]]) {
    const out = join(root, "dist", kind);
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, "package.json"), JSON.stringify({ type }) + "\n");
    const form = kind === "esm" ? ["--module", "NodeNext", "--moduleResolution", "NodeNext"]
      : ["--module", "CommonJS", "--moduleResolution", "Node10", "--ignoreDeprecations", "5.0"];
    execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", out, ...form], {
      stdio: "inherit",
    });
  }
}
