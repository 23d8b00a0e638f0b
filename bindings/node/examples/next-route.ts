// A route handler in the form of Next's app router: `export const POST = handlerFor(engine)`.
import type { Engine } from "../dist/esm/index.js";

export function handlerFor(engine: Engine): (request: Request) => Promise<Response> {
  return async (request) => {
    const { question } = (await request.json()) as { question: string };
    const answer = engine.stream(
      { messages: [{ role: "user", content: question }], maxTokens: 64 },
      { signal: request.signal },
    );
    return new Response(answer, { headers: { "content-type": "text/plain; charset=utf-8" } });
  };
}
