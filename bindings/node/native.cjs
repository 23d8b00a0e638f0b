// Finds the addon: in native/, where `npm install` puts what it builds, or in the package for this platform.
"use strict";

const { existsSync } = require("node:fs");
const { join } = require("node:path");

const built = join(__dirname, "native", "mlx_serving", "mlx_serving.node");
const platform = `@mlx-serving/${process.platform}-${process.arch}`;

function load() {
  if (existsSync(built)) return require(built);
  try {
    return require(platform);
  } catch (error) {
    throw new Error(
      `mlx-serving has no addon for this machine: neither ${built} nor the package ${platform} is there; ` +
        `run \`npm rebuild mlx-serving\` in a checkout of mlx-serving (${error.message})`,
    );
  }
}

module.exports = load();
