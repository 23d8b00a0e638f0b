/** The addon's own surface. Everything that can fail throws an Error with `code`, `param` and `retryAfter`. */
declare namespace native {
  /** Stream id, prompt tokens in the first event, text, token ids, the finish as JSON in the last one. */
  type RawEvent = [number, number | null, string, Int32Array, string | null];

  class Hub {
    /** `listener` is called on the event loop, with all events that are there, at most once a step. */
    constructor(listener: (events: RawEvent[]) => void);
    cancel(streamId: number): void;
    discard(streamId: number): void;
    close(): void;
    /** Whether open streams keep the process alive. */
    ref(): void;
    unref(): void;
    readonly numStreams: number;
    readonly numWakes: number;
  }

  class Engine {
    static open(optionsJson: string): Promise<Engine>;
    close(): Promise<void>;
    drain(timeoutMs: number): Promise<number>;
    submit(hub: Hub, requestJson: string): number[];
    tokenize(text: string, addSpecialTokens: boolean, parseSpecialTokens: boolean): number[];
    detokenize(tokenIds: number[], skipSpecialTokens: boolean): string;
    applyTemplate(requestJson: string): string;
    promptTokenIds(requestJson: string): number[];
    modelJson(): string;
    statsJson(): string;
    healthJson(): string;
    readonly isClosed: boolean;
  }

  class Server {
    static start(engine: Engine, optionsJson: string): Server;
    stop(): Promise<void>;
    readonly url: string;
    readonly port: number;
  }

  function errorNames(): string[];
  function versionFacts(): { mlxBuiltWith: string; mlxRunningOn: string; backend: string };
}

export = native;
