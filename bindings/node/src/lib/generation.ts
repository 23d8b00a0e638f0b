// Answers as they come: the hub hands each batch of events to its streams; a stream is an async generator of typed events.
import native from "../../native.cjs";
import { errorOf, fromNative } from "./errors.js";
import { camelCased, type FinishEvent, type GenerateResult, type GenerationEvent } from "./types.js";

type Listener = (event: native.RawEvent) => void;

/** The streams of one engine in this event loop. */
export class StreamHub {
  readonly #listeners = new Map<number, Listener>();
  readonly #native = new native.Hub((events) => {
    for (const event of events) this.#listeners.get(event[0])?.(event);
  });

  submit(engine: native.Engine, request: string, listener: Listener): number {
    const ids = engine.submit(this.#native, request);
    for (const id of ids.slice(1)) this.#native.discard(id);
    const id = ids[0]!;
    this.#listeners.set(id, listener);
    this.#native.ref(); // an open answer keeps the process alive
    return id;
  }

  cancel(id: number): void {
    this.#native.cancel(id);
  }

  /** Nothing more of this stream is read; it ends if it still runs. */
  leave(id: number): void {
    if (!this.#listeners.delete(id)) return;
    this.#native.discard(id);
    if (this.#listeners.size === 0) this.#native.unref();
  }

  close(): void {
    this.#listeners.clear();
    this.#native.unref();
    this.#native.close();
  }

  get numStreams(): number {
    return this.#native.numStreams;
  }
  get numWakes(): number {
    return this.#native.numWakes;
  }
}

function finishOf(json: string): FinishEvent {
  const finish = JSON.parse(json) as { error: null | { code: string; message: string; param: string | null; retry_after_s?: number } };
  if (finish.error !== null) {
    throw errorOf(finish.error.code, finish.error.message, finish.error.param, finish.error.retry_after_s);
  }
  const { reason, usage, timings, stopString } = camelCased(finish) as Omit<FinishEvent, "type">;
  return { type: "finish", reason, usage, timings, stopString };
}

/** Runs one request. Leaving the generator early, or aborting `signal`, ends it within a step. */
export async function* runRequest(
  hub: StreamHub,
  engine: native.Engine,
  request: string,
  signal?: AbortSignal,
): AsyncGenerator<GenerationEvent, void, void> {
  signal?.throwIfAborted();
  const arrived: native.RawEvent[] = [];
  let wake = (): void => {};
  let id: number;
  try {
    id = hub.submit(engine, request, (event) => {
      arrived.push(event);
      wake();
    });
  } catch (error) {
    throw fromNative(error);
  }
  const onAbort = (): void => wake();
  signal?.addEventListener("abort", onAbort);
  try {
    while (true) {
      signal?.throwIfAborted();
      const event = arrived.shift();
      if (event === undefined) {
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      const [, promptTokens, text, tokenIds, finish] = event;
      if (promptTokens !== null) yield { type: "accepted", promptTokens };
      else if (text !== "" || tokenIds.length > 0) yield { type: "delta", text, tokenIds };
      if (finish === null) continue;
      yield finishOf(finish);
      return;
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    hub.leave(id);
  }
}

/** The whole of an answer. */
export async function collect(events: AsyncIterable<GenerationEvent>): Promise<GenerateResult> {
  let text = "";
  const tokenIds: number[] = [];
  let finish: FinishEvent | undefined;
  for await (const event of events) {
    if (event.type === "delta") {
      text += event.text;
      tokenIds.push(...event.tokenIds);
    } else if (event.type === "finish") {
      finish = event;
    }
  }
  if (finish === undefined) throw errorOf("engine_error", "the answer ended without its last event");
  return { text, tokenIds, finishReason: finish.reason, usage: finish.usage, timings: finish.timings };
}

/** The text of an answer as a web stream, for a Response of fetch's; cancelling it ends the request. */
export function toReadableStream(events: AsyncGenerator<GenerationEvent, void, void>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      while (true) {
        const { done, value } = await events.next();
        if (done) return controller.close();
        if (value.type === "delta" && value.text !== "") return controller.enqueue(encoder.encode(value.text));
      }
    },
    async cancel() {
      await events.return();
    },
  });
}
