// Builds the addon into native/: `npm install` runs it. In a package that carries a prebuilt native/ it does nothing.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "CMakeLists.txt");
const built = join(root, "native", "mlx_serving", "mlx_serving.node");

if (!existsSync(source)) {
  if (!existsSync(built)) console.error("mlx-serving: no addon is built here; the package for this platform is used");
} else {
  const require = createRequire(import.meta.url);
  const build = join(root, "..", "..", "build", "node");
  // Its words only count where it fails.
  const run = (...args) => {
    const { status, stdout, error } = spawnSync("cmake", args, { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });
    if (status === 0) return;
    console.error(stdout ?? "", error?.message ?? "");
    process.exit(1);
  };
  run(
    "-S", root, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
    `-DNODE_INCLUDE=${require("node-api-headers").include_dir}`,
    `-DNODE_ADDON_API_INCLUDE=${join(dirname(require.resolve("node-addon-api")))}`,
  );
  run("--build", build);
  run("--install", build, "--prefix", join(root, "native"));
}
