// The Node package on the engine's fake: tools/run_tests puts its libmlx_serving first on the library path.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import express from "express";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import native from "../native.cjs";
import * as api from "../dist/esm/index.js";
import { appFor } from "../examples/express.js";
import { handlerFor } from "../examples/next-route.js";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..", "..");
const messages = [{ role: "user", content: "hi" }];
const hello = { prompt: "hello", maxTokens: 12, temperature: 0 };
let engine: api.Engine;
let slow: api.Engine;

beforeAll(async () => {
  if (native.versionFacts().mlxRunningOn !== "0.0.0") throw new Error("run by tools/run_tests build/release --suites node");
  engine = await api.createEngine({ loadDefault: true, maxQueue: 512 });
  slow = await api.createEngine({ model: "slow", maxQueue: 512 });
});
afterAll(async () => {
  await engine.dispose();
  await slow.dispose();
});

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return new Response(stream).text();
}

describe("answers", () => {
  it("are those of every other door", async () => {
    type Row = { request: Record<string, unknown>; expected: { choices?: unknown[]; error?: unknown } };
    const rows = JSON.parse(readFileSync(join(root, "tests", "golden", "conversations.json"), "utf8")) as Row[];
    let replayed = 0;
    for (const { request, expected } of rows) {
      // Several answers to a request, and what Zod refuses by its shape, are replayed by the other doors.
      if (expected.choices && expected.choices.length !== 1) continue;
      const answer = await engine.generate(request as api.GenerateOptions).then(
        (result) => ({
          choices: [
            {
              text: result.text,
              token_ids: result.tokenIds,
              finish_reason: result.finishReason,
              prompt_tokens: result.usage.promptTokens,
              completion_tokens: result.usage.completionTokens,
            },
          ],
        }),
        (error: unknown) => {
          const { code, message, param } = error as api.MlxServingError;
          return { error: { code, message, param: param ?? null } };
        },
      );
      const isShape = "error" in answer && /^(temperature|prompt): /.test(answer.error.message);
      if (isShape) expect(answer.error.code).toBe("invalid_request");
      else if (request.model === undefined) expect(answer).toEqual(expected);
      else expect("error" in answer && answer.error.code).toBe("model_not_found");
      replayed += 1;
    }
    expect(replayed).toBeGreaterThan(25);
  });

  it("come as typed events", async () => {
    const events: api.GenerationEvent[] = [];
    for await (const event of engine.createGenerator(hello)) events.push(event);
    expect(events[0]).toEqual({ type: "accepted", promptTokens: 5 });
    const last = events.at(-1);
    expect(last?.type === "finish" && last.reason).toBe("length");
    const text = events.map((event) => (event.type === "delta" ? event.text : "")).join("");
    expect(text).toBe("iybxqjcuvttf");
    expect((await api.collect(engine.createGenerator(hello))).text).toBe(text);
    expect(await textOf(engine.stream(hello))).toBe(text);
    expect(await textOf(api.toReadableStream(engine.createGenerator(hello)))).toBe(text);
  });

  it("run 64 at a time", async () => {
    const steps = engine.getBatchStats().numSteps;
    const answers = await Promise.all(Array.from({ length: 64 }, () => engine.generate({ ...hello, maxTokens: 100 })));
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
    expect(answers.every((answer) => answer.tokenIds.length === 100)).toBe(true);
    expect(engine.getBatchStats().numSteps).toBeGreaterThan(steps);
  });

  it("stop when their signal or their reader does", async () => {
    const controller = new AbortController();
    const answer = slow.generate({ prompt: "x", maxTokens: 4000 }, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 20);
    await expect(answer).rejects.toThrow("enough");
    await expect(slow.generate(hello, { signal: AbortSignal.abort() })).rejects.toThrow();
    for await (const event of slow.createGenerator({ prompt: "x", maxTokens: 4000 })) if (event.type === "delta") break;
    await slow.stream({ prompt: "x", maxTokens: 4000 }).cancel();
    const reader = slow.stream({ prompt: "x", maxTokens: 4000 }).getReader();
    await reader.read();
    await reader.cancel();
    await slow.flushBatches();
    expect(slow.getBatchStats().numRunning).toBe(0);
  });

  it("can be cancelled 1,000 times at any moment", async () => {
    let state = 7;
    const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
    const asked = Array.from({ length: 1000 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index / 4));
      const controller = new AbortController();
      const answer = slow.generate({ prompt: "cancel me", maxTokens: 500 }, { signal: controller.signal });
      setTimeout(() => controller.abort(), random() * 30);
      return answer.then(() => "done", () => "cancelled");
    });
    expect(await Promise.all(asked)).toContain("cancelled");
    await slow.flushBatches();
    expect(slow.getBatchStats().numRunning + slow.getBatchStats().numWaiting).toBe(0);
  });
});

describe("errors", () => {
  it("have one class for each code", () => {
    expect(Object.keys(api.errorClasses).sort()).toEqual(native.errorNames().sort());
    for (const [code, ErrorClass] of Object.entries(api.errorClasses)) {
      const error = api.errorOf(code, "what", "field", 3);
      expect(error).toBeInstanceOf(ErrorClass);
      expect(error).toMatchObject({ code, message: "what", param: "field", retryAfter: 3, name: ErrorClass.name });
    }
    const foreign = new Error("other");
    expect(api.fromNative(foreign)).toBe(foreign);
  });

  it("tell bad input by its field", async () => {
    const cases: [object, string, string | undefined][] = [
      [{ prompt: "a", temperature: Number.NaN }, "invalid_request", "temperature"],
      [{ prompt: "a", temperature: 3 }, "invalid_value", "temperature"],
      [{ prompt: "a", maxTokens: 1.5 }, "invalid_request", "max_tokens"],
      [{ prompt: 7 }, "invalid_request", "prompt"],
      [{ prompt: "a", noSuchField: 1 }, "invalid_request", "no_such_field"],
      [{ prompt: "a", bestOf: 3 }, "unsupported", "best_of"],
      [{ prompt: "a".repeat(9000) }, "context_length_exceeded", "prompt"],
      [{ prompt: "a", model: "other" }, "model_not_found", "model"],
    ];
    for (const [options, code, param] of cases) {
      const asked = (async () => engine.generate(options as api.GenerateOptions))();
      await expect(asked, JSON.stringify(options)).rejects.toMatchObject({ code, param });
    }
  });

  it("come from loading, too", async () => {
    for (const model of ["missing", "huge", "broken"]) {
      const code = model === "missing" ? "model_not_found" : "engine_error";
      await expect(api.createEngine({ model })).rejects.toMatchObject({ code });
    }
    await expect(api.createEngine({ model: "fake", maxSequences: 0 })).rejects.toBeInstanceOf(api.InvalidConfigError);
    await expect(api.createEngine({ model: "fake", noSuchOption: 1 })).rejects.toMatchObject({ param: "no_such_option" });
    await expect(api.createEngine({ model: "fake", threads: "two" as never })).rejects.toMatchObject({ code: "invalid_config" });
    expect(() => new (native.Engine as unknown as new () => unknown)()).toThrow("Engine.open");
  });

  it("say what the engine cannot do", async () => {
    await expect(engine.embed("a")).rejects.toBeInstanceOf(api.UnsupportedError);
    await expect(engine.loadDraftModel()).rejects.toBeInstanceOf(api.UnsupportedError);
    await expect(engine.unloadDraftModel()).rejects.toBeInstanceOf(api.UnsupportedError);
    await expect(engine.isDraftModelCompatible("a")).rejects.toBeInstanceOf(api.UnsupportedError);
  });

  it("in a reader's own code harm nobody", async () => {
    const broken = (async () => {
      for await (const event of slow.createGenerator({ prompt: "x", maxTokens: 4000 })) throw new Error(event.type);
    })();
    await expect(broken).rejects.toThrow("accepted");
    expect((await engine.generate(hello)).text).toBe("iybxqjcuvttf");
  });
});

describe("models", () => {
  it("are loaded, listed and unloaded", async () => {
    const many = await api.create_engine();
    expect(() => many.listModels().length && many.getModelInfo()).not.toThrow();
    expect(() => many.tokenize("a")).toThrow(api.ModelNotFoundError);
    expect((await many.loadModel()).name).toBe("fake");
    expect((await many.load_model({ model: "slow" })).contextLength).toBe(8192);
    expect(many.list_models().map((model) => model.name)).toEqual(["fake", "slow"]);
    expect(many.getModelInfo("slow")).toMatchObject({ vocabSize: 259, hasChatTemplate: true });
    expect((await many.generate({ ...hello, model: "slow" })).text).toBe((await many.generate(hello)).text);
    await many.unloadModel("slow");
    expect(many.listModels().length).toBe(1);
    expect(await many.shutdown({ timeoutMs: 100 })).toBe(0);
    expect(await many.shutdown()).toBe(0);
    await expect(many.loadModel()).rejects.toBeInstanceOf(api.ShuttingDownError);
  });

  it("turn text into ids and back", () => {
    expect(engine.tokenize("ab")).toEqual([97, 98]);
    expect(engine.tokenize("a<|end|>", { parseSpecialTokens: true, addSpecialTokens: true }).at(-1)).toBe(256);
    expect(engine.detokenize(Int32Array.of(97, 256))).toBe("a");
    expect(engine.detokenize([256], { skipSpecialTokens: false })).toBe("<|end|>");
    expect(engine.applyTemplate({ messages })).toBe("<|role|>user:hi<|turn|><|role|>assistant:");
    expect(engine.promptTokenIds({ messages })[0]).toBe(257);
  });

  it("count what they do", async () => {
    await engine.warmupModel();
    engine.resetBatchStats();
    expect(engine.getBatchStats()).toMatchObject({ numRequestsFinished: 0, maxSequences: 16 });
    await engine.generate({ messages, maxTokens: 3 });
    expect(engine.getBatchStats().numRequestsFinished).toBe(1);
    expect(engine.getCacheStats().numPages).toBeGreaterThan(0);
    expect(engine.healthCheck()).toMatchObject({ lastError: null });
    expect(engine.getRuntimeInfo()).toMatchObject({ backend: "cpu", node: process.version });
  });

  it("have the ancestor's names", () => {
    const snake = Object.getOwnPropertyNames(api.Engine.prototype).filter((name) => name.includes("_"));
    expect(snake).toContain("is_draft_model_compatible");
    for (const name of snake) {
      const camel = api.toCamel(name) as keyof api.Engine;
      expect(api.Engine.prototype[name as keyof api.Engine]).toBe(api.Engine.prototype[camel]);
      expect(api.toSnake(String(camel))).toBe(name);
    }
  });
});

describe("serving", () => {
  it("answers HTTP in this process", async () => {
    const server = engine.serve();
    expect(server.url).toContain(String(server.port));
    const body = JSON.stringify({ model: "fake", prompt: "hello", max_tokens: 12, temperature: 0 });
    const response = await fetch(`${server.url}/v1/completions`, { method: "POST", body, headers: { "content-type": "application/json" } });
    expect(((await response.json()) as { choices: { text: string }[] }).choices[0]?.text).toBe("iybxqjcuvttf");
    expect(() => engine.serve({ port: server.port })).toThrow(api.IoError);
    expect(() => engine.serve({ noSuch: 1 })).toThrow(api.InvalidConfigError);
    await server.stop();
    await engine.serve()[Symbol.asyncDispose]();
  });

  it("works behind Express and in a route handler of Next's form", async () => {
    const listening = appFor(engine, express()).listen(0);
    const { port } = listening.address() as { port: number };
    const ask = { method: "POST", body: JSON.stringify({ question: "hi" }), headers: { "content-type": "application/json" } };
    expect((await (await fetch(`http://127.0.0.1:${port}/ask`, ask)).text()).length).toBeGreaterThan(0);
    await new Promise((resolve) => listening.close(resolve));
    const reply = await handlerFor(engine)(new Request("http://127.0.0.1/api/chat", ask));
    expect((await reply.text()).length).toBeGreaterThan(0);
  });

  it("works in a worker thread, and two engines side by side", async () => {
    const worker = new Worker(join(here, "..", "examples", "worker.mjs"), { workerData: { question: "hi" } });
    const text = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    expect(String(text).length).toBeGreaterThan(0);
    await worker.terminate();
    expect((await engine.generate(hello)).text).toBe("iybxqjcuvttf");
  });
});

describe("the package", () => {
  it("can be required, and leaves no threads behind", async () => {
    const common = createRequire(import.meta.url)("../dist/cjs/index.js") as typeof api;
    const cycle = async (): Promise<void> => {
      const one = await common.createEngine({ model: "fake", maxSequences: 2, contextLength: 128 });
      await one.generate({ prompt: "a", maxTokens: 3 });
      await one[Symbol.asyncDispose]();
    };
    for (let i = 0; i < 50; ++i) await cycle();
    const threads = readdirSync("/proc/self/task").length;
    for (let i = 0; i < 500; ++i) await cycle();
    expect(readdirSync("/proc/self/task").length).toBeLessThanOrEqual(threads);
  });

  it("exercises every exported name", () => {
    const tests = readFileSync(fileURLToPath(import.meta.url), "utf8");
    const covered = new Set(["HttpServer", "camelCased", "requestJson", "engineJson", "serveJson", "generateOptionsSchema", "engineOptionsSchema", "serveOptionsSchema", ...Object.values(api.errorClasses).map((one) => one.name)]);
    for (const name of Object.keys(api)) expect(covered.has(name) || tests.includes(`.${name}`), name).toBe(true);
    for (const name of Object.getOwnPropertyNames(api.Engine.prototype)) {
      if (!name.includes("_") && name !== "constructor") expect(tests.includes(`.${name}(`), name).toBe(true);
    }
  });
});
