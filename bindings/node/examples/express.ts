// An Express route that streams an answer; a client that hangs up ends it.
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import type { Express } from "express";
import express from "express";
import type { Engine } from "../dist/esm/index.js";

export function appFor(engine: Engine, app: Express): Express {
  app.post("/ask", express.json(), (request, response) => {
    const { question } = request.body as { question: string };
    const answer = engine.stream({ messages: [{ role: "user", content: question }], maxTokens: 64 });
    response.type("text/plain");
    const body = Readable.fromWeb(answer as unknown as ReadableStream<Uint8Array>);
    response.once("close", () => body.destroy());
    body.once("error", () => response.destroy());
    body.pipe(response);
  });
  return app;
}
