/**
 * An engine for language models on MLX, in your own process.
 *
 * @packageDocumentation
 */
export * from "./engine.js";
export * from "./errors.js";
export { collect, toReadableStream } from "./generation.js";
export * from "./types.js";
