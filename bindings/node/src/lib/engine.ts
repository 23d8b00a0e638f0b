// The engine of this process: models, and what is asked of them. Nothing is scheduled here; the C++ engine does that.
import native from "../../native.cjs";
import { fromNative, ModelNotFoundError, ShuttingDownError, UnsupportedError } from "./errors.js";
import { collect, runRequest, StreamHub, toReadableStream } from "./generation.js";
import {
  camelCased,
  engineJson,
  requestJson,
  serveJson,
  type BatchStats,
  type CacheStats,
  type EngineOptions,
  type GenerateOptions,
  type GenerateResult,
  type GenerationEvent,
  type Health,
  type ModelInfo,
  type RuntimeInfo,
  type ServeOptions,
} from "./types.js";

const VERSION = "0.1.0";
/** The counts that resetBatchStats() sets to nothing. */
const COUNTERS = ["numSteps", "numFailedSteps", "numPreemptions", "numStepTokens", "numRequestsFinished"] as const;

/** What runs beside a request. */
export interface RunOptions {
  /** Aborting it ends the request within a step and throws the signal's reason. */
  signal?: AbortSignal;
}

/** An HTTP server on a loaded model, on threads of its own. */
export class HttpServer {
  readonly #native: native.Server;

  /** Made by Engine.serve(). */
  constructor(server: native.Server) {
    this.#native = server;
  }

  get url(): string {
    return this.#native.url;
  }
  get port(): number {
    return this.#native.port;
  }
  /** Closes the connections, which cancels what they run. */
  async stop(): Promise<void> {
    await this.#native.stop();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function unsupported(what: string): never {
  throw new UnsupportedError("unsupported", `${what} is not supported by this engine`);
}

function guarded<Result>(act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    throw fromNative(error);
  }
}

/** Models of this process. Made by createEngine(). */
export class Engine {
  readonly #models = new Map<string, native.Engine>();
  readonly #hub = new StreamHub();
  readonly #servers: HttpServer[] = [];
  readonly #baselines = new Map<string, BatchStats>();
  readonly #defaults: EngineOptions;
  #isDisposed = false;

  /** `defaults` are settings of every model that is loaded. */
  constructor(defaults: EngineOptions = {}) {
    this.#defaults = defaults;
  }

  // -- models

  /** Loads a model, beside those that are: a folder, a .gguf file or a name; without one the default model. */
  async loadModel(options: EngineOptions = {}): Promise<ModelInfo> {
    this.#checkOpen();
    const json = engineJson({ ...this.#defaults, ...options });
    const model = await native.Engine.open(json).catch((error: unknown) => {
      throw fromNative(error);
    });
    const info = camelCased(JSON.parse(model.modelJson())) as ModelInfo;
    const before = this.#models.get(info.name);
    this.#models.set(info.name, model);
    await before?.close();
    if (this.#isDisposed) await model.close();
    return info;
  }

  /** Cancels what runs on a model and gives its memory back. */
  async unloadModel(name?: string): Promise<void> {
    const [key, model] = this.#find(name);
    this.#models.delete(key);
    this.#baselines.delete(key);
    await model.close();
  }

  async loadDraftModel(_options?: EngineOptions): Promise<ModelInfo> {
    return unsupported("speculative decoding with a draft model");
  }
  async unloadDraftModel(): Promise<void> {
    return unsupported("speculative decoding with a draft model");
  }
  async isDraftModelCompatible(_draft?: string, _model?: string): Promise<boolean> {
    return unsupported("speculative decoding with a draft model");
  }

  listModels(): ModelInfo[] {
    return [...this.#models.keys()].map((name) => this.getModelInfo(name));
  }

  getModelInfo(name?: string): ModelInfo {
    return guarded(() => camelCased(JSON.parse(this.#find(name)[1].modelJson())) as ModelInfo);
  }

  getRuntimeInfo(): RuntimeInfo {
    const facts = guarded(() => native.versionFacts());
    return { version: VERSION, mlxVersion: facts.mlxRunningOn, backend: facts.backend, node: process.version };
  }

  // -- answers

  /** Runs a request of `prompt` or `messages`: an async generator of typed events. Leaving it early cancels. */
  createGenerator(options: GenerateOptions, run: RunOptions = {}): AsyncGenerator<GenerationEvent, void, void> {
    const [, model] = this.#find(options.model);
    return runRequest(this.#hub, model, requestJson(options), run.signal);
  }

  /** Waits for a whole answer. */
  async generate(options: GenerateOptions, run: RunOptions = {}): Promise<GenerateResult> {
    return collect(this.createGenerator(options, run));
  }

  /** The text of an answer as a web stream of UTF-8. */
  stream(options: GenerateOptions, run: RunOptions = {}): ReadableStream<Uint8Array> {
    return toReadableStream(this.createGenerator(options, run));
  }

  /** Vectors of texts. */
  async embed(_texts: string | string[]): Promise<Float32Array[]> {
    return unsupported("embeddings");
  }

  // -- text

  tokenize(text: string, options: { model?: string; addSpecialTokens?: boolean; parseSpecialTokens?: boolean } = {}): number[] {
    const [, model] = this.#find(options.model);
    return guarded(() => model.tokenize(text, options.addSpecialTokens ?? false, options.parseSpecialTokens ?? true));
  }

  detokenize(tokenIds: ArrayLike<number>, options: { model?: string; skipSpecialTokens?: boolean } = {}): string {
    const [, model] = this.#find(options.model);
    return guarded(() => model.detokenize(Array.from(tokenIds), options.skipSpecialTokens ?? true));
  }

  /** The text that a model's chat template makes of `messages`. */
  applyTemplate(options: GenerateOptions): string {
    const [, model] = this.#find(options.model);
    return guarded(() => model.applyTemplate(requestJson(options)));
  }

  /** The ids that a request would run. */
  promptTokenIds(options: GenerateOptions): number[] {
    const [, model] = this.#find(options.model);
    return guarded(() => model.promptTokenIds(requestJson(options)));
  }

  // -- facts

  healthCheck(name?: string): Health {
    return guarded(() => camelCased(JSON.parse(this.#find(name)[1].healthJson())) as Health);
  }

  getBatchStats(name?: string): BatchStats {
    const [key] = this.#find(name);
    const stats = this.#stats(name);
    const before = this.#baselines.get(key);
    const counted = COUNTERS.map((counter) => [counter, stats[counter] - (before?.[counter] ?? 0)]);
    const { numRunning, numWaiting, numInFlightSteps, deviceIdleShare, maxSequences } = stats;
    const now = { numRunning, numWaiting, numInFlightSteps, deviceIdleShare, maxSequences };
    return { ...now, ...Object.fromEntries(counted) } as BatchStats;
  }

  /** Counts from now on. */
  resetBatchStats(name?: string): void {
    this.#baselines.set(this.#find(name)[0], this.#stats(name));
  }

  /** Waits until nothing waits or runs: batches are formed at each step, so none is held back that could be flushed. */
  async flushBatches(name?: string): Promise<void> {
    const [, model] = this.#find(name);
    const isBusy = (): boolean => guarded(() => {
      const stats = JSON.parse(model.statsJson()) as { num_running: number; num_waiting: number };
      return stats.num_running + stats.num_waiting > 0;
    });
    while (isBusy()) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  /** Runs one token through a model, so that the first request finds everything in place. */
  async warmupModel(name?: string): Promise<void> {
    const [key, model] = this.#find(name);
    const ids = guarded(() => model.tokenize("a", true, true));
    await this.generate({ model: key, prompt: ids, maxTokens: 1, temperature: 0, cachePrompt: false });
  }

  getCacheStats(name?: string): CacheStats {
    const { numPages, numFreePages, numCachedPages, pageSize, numPromptTokens, numCachedTokens } = this.#stats(name);
    return { numPages, numFreePages, numCachedPages, pageSize, numPromptTokens, numCachedTokens };
  }

  // -- life

  /** Answers HTTP in this process by the same server as `mlx-serving serve`. */
  serve(options: ServeOptions = {}, name?: string): HttpServer {
    const [, model] = this.#find(name);
    const server = new HttpServer(guarded(() => native.Server.start(model, serveJson(options))));
    this.#servers.push(server);
    return server;
  }

  /** Lets what runs finish for so long, then ends as dispose(). Returns how many requests were cut off. */
  async shutdown(options: { timeoutMs?: number } = {}): Promise<number> {
    if (this.#isDisposed) return 0;
    const cut = await Promise.all([...this.#models.values()].map((model) => model.drain(options.timeoutMs ?? 30_000)));
    await this.dispose();
    return cut.reduce((sum, count) => sum + count, 0);
  }

  /** Cancels what runs, stops the servers and ends the threads. A second call does nothing. */
  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await Promise.all(this.#servers.map((server) => server.stop()));
    await Promise.all([...this.#models.values()].map((model) => model.close()));
    this.#models.clear();
    // What still streams hears of its end before the hub goes.
    setImmediate(() => setImmediate(() => this.#hub.numStreams === 0 && this.#hub.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  // -- inside

  #stats(name?: string): BatchStats & CacheStats {
    return guarded(() => camelCased(JSON.parse(this.#find(name)[1].statsJson())) as BatchStats & CacheStats);
  }

  #checkOpen(): void {
    if (this.#isDisposed) throw new ShuttingDownError("shutting_down", "the engine is closed; open another one");
  }

  /** The model of that name; without a name the one that was loaded first. */
  #find(name?: string): [string, native.Engine] {
    this.#checkOpen();
    for (const entry of this.#models) if (name === undefined || entry[0] === name) return entry;
    const loaded = [...this.#models.keys()].join(", ") || "none";
    const message = name === undefined ? "no model is loaded; call loadModel()" : `no model is called "${name}"; loaded: ${loaded}`;
    throw new ModelNotFoundError("model_not_found", message, { param: "model" });
  }
}

/** The names of the ancestor's API beside those of JavaScript. */
const ALIASES = [
  "loadModel", "unloadModel", "loadDraftModel", "unloadDraftModel", "isDraftModelCompatible", "listModels",
  "getModelInfo", "getRuntimeInfo", "createGenerator", "applyTemplate", "promptTokenIds", "healthCheck",
  "getBatchStats", "resetBatchStats", "flushBatches", "warmupModel", "getCacheStats",
] as const;
type Alias = (typeof ALIASES)[number];
type Snake<Name extends string> = Name extends `${infer Head}${infer Tail}`
  ? `${Head extends Lowercase<Head> ? Head : `_${Lowercase<Head>}`}${Snake<Tail>}`
  : Name;
type SnakeCased = { [Name in Alias as Snake<Name>]: Engine[Name] };
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface Engine extends SnakeCased {}
for (const name of ALIASES) {
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  Object.defineProperty(Engine.prototype, snake, { value: Engine.prototype[name], writable: true, configurable: true });
}

/** Opens an engine. With `model`, or with `loadDefault`, it comes with that model loaded. */
export async function createEngine(options: EngineOptions & { loadDefault?: boolean } = {}): Promise<Engine> {
  const { model, loadDefault, ...settings } = options;
  const engine = new Engine(settings);
  if (model !== undefined || loadDefault === true) await engine.loadModel(model === undefined ? {} : { model });
  return engine;
}
export { createEngine as create_engine };
