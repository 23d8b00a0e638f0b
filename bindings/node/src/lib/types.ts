// What goes in, checked by Zod for its shape (the engine checks values and names), and what comes out.
import { z } from "zod";
import { InvalidConfigError, InvalidRequestError, type MlxServingError } from "./errors.js";

const message = z.record(z.string(), z.unknown());
const tokenIds = z.union([z.array(z.number().int()), z.instanceof(Int32Array)]);
const text = z.string().optional();
const number = z.number().optional();
const integer = z.number().int().optional();
const flag = z.boolean().optional();

/** Fields of a request, those of the HTTP API in camelCase; snake_case is taken, too. */
export const generateOptionsSchema = z.looseObject({
  model: text,
  prompt: z.union([z.string(), tokenIds]).optional(),
  messages: z.array(message).optional(),
  maxTokens: integer,
  temperature: number,
  topP: number,
  topK: integer,
  minP: number,
  repetitionPenalty: number,
  presencePenalty: number,
  frequencyPenalty: number,
  logitBias: z.record(z.string(), z.number()).optional(),
  seed: z.union([z.number().int(), z.bigint()]).optional(),
  stop: z.union([z.string(), z.array(z.string())]).optional(),
  stopTokenIds: z.array(z.number().int()).optional(),
  ignoreEos: flag,
  priority: integer,
  ttftDeadlineMs: integer,
  deadlineMs: integer,
  cachePrompt: flag,
  cacheSalt: text,
  tools: z.array(message).optional(),
  toolChoice: z.union([z.string(), message]).optional(),
  responseFormat: message.optional(),
  chatTemplateKwargs: message.optional(),
  addGenerationPrompt: flag,
});
export type GenerateOptions = z.input<typeof generateOptionsSchema>;

/** Settings of docs/CONFIGURATION.md, in camelCase or snake_case. */
export const engineOptionsSchema = z.looseObject({
  model: text,
  device: z.enum(["auto", "cpu", "gpu"]).optional(),
  maxSequences: integer,
  maxQueue: integer,
  contextLength: integer,
  threads: integer,
  logLevel: text,
});
export type EngineOptions = z.input<typeof engineOptionsSchema>;

/** Settings of the HTTP server; without a port, a free one. */
export const serveOptionsSchema = z.looseObject({ host: text, port: integer, apiKey: text });
export type ServeOptions = z.input<typeof serveOptionsSchema>;

export type FinishReason = "stop" | "length" | "cancelled" | "error";

export interface Usage {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/** Milliseconds: waiting, from there to the first token, from there to the last. */
export interface Timings {
  queueMs: number;
  prefillMs: number;
  decodeMs: number;
}

export type AcceptedEvent = { type: "accepted"; promptTokens: number };
export type DeltaEvent = { type: "delta"; text: string; tokenIds: Int32Array };
export type FinishEvent = {
  type: "finish";
  reason: FinishReason;
  usage: Usage;
  timings: Timings;
  stopString: string | null;
};
/** What an answer consists of: one accepted, deltas, one finish. */
export type GenerationEvent = AcceptedEvent | DeltaEvent | FinishEvent;

export interface GenerateResult {
  text: string;
  tokenIds: number[];
  finishReason: FinishReason;
  usage: Usage;
  timings: Timings;
}

export interface ModelInfo {
  name: string;
  family: string;
  quantization: string;
  vocabSize: number;
  contextLength: number;
  weightBytes: number;
  kvBytesPerToken: number;
  hasChatTemplate: boolean;
}

export interface BatchStats {
  numRunning: number;
  numWaiting: number;
  numInFlightSteps: number;
  deviceIdleShare: number;
  maxSequences: number;
  numSteps: number;
  numFailedSteps: number;
  numPreemptions: number;
  numStepTokens: number;
  numRequestsFinished: number;
}

export interface CacheStats {
  numPages: number;
  numFreePages: number;
  numCachedPages: number;
  pageSize: number;
  numPromptTokens: number;
  numCachedTokens: number;
}

export interface Health {
  step: number;
  hasPendingWork: boolean;
  sinceProgressMs: number;
  lastError: string | null;
}

export interface RuntimeInfo {
  version: string;
  mlxVersion: string;
  backend: string;
  node: string;
}

/** "max_tokens" for "maxTokens". */
export const toSnake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
/** "maxTokens" for "max_tokens". */
export const toCamel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** An object with the names of its own members in camelCase, and of those of its objects. */
export function camelCased(value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [toCamel(name), camelCased(member)]));
}

type ErrorType = new (code: string, message: string, details: { param?: string }) => MlxServingError;

function checked(schema: z.ZodType, value: unknown, code: string, ErrorClass: ErrorType): Record<string, unknown> {
  const result = schema.safeParse(value);
  if (result.success) return result.data as Record<string, unknown>;
  const issue = result.error.issues[0];
  const param = issue === undefined ? "" : issue.path.map(String).join(".");
  throw new ErrorClass(code, `${toSnake(param) || "the options"}: ${issue?.message}`, { param: toSnake(param) });
}

/** JSON that the engine's own names are in; what JSON cannot hold becomes what it stands for. */
function toJson(options: Record<string, unknown>): string {
  const plain = Object.fromEntries(Object.entries(options).map(([name, value]) => [toSnake(name), value]));
  let seed = "";
  if (typeof plain.seed === "bigint") {
    seed = `"seed":${plain.seed}`;
    delete plain.seed;
  }
  const body = JSON.stringify(plain, (_, value: unknown) => (value instanceof Int32Array ? Array.from(value) : value));
  return seed === "" ? body : body === "{}" ? `{${seed}}` : `{${seed},${body.slice(1)}`;
}

export const requestJson = (options: GenerateOptions): string =>
  toJson(checked(generateOptionsSchema, options, "invalid_request", InvalidRequestError));
export const engineJson = (options: EngineOptions): string =>
  toJson(checked(engineOptionsSchema, options, "invalid_config", InvalidConfigError));
export const serveJson = (options: ServeOptions): string =>
  toJson(checked(serveOptionsSchema, options, "invalid_config", InvalidConfigError));
