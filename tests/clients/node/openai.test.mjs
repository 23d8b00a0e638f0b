// The official openai package for Node works unchanged: chat, completions, responses, models and errors, streamed and not.
// MLX_SERVING_URL names the server.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.MLX_SERVING_URL}/v1`, apiKey: "unused", maxRetries: 0, timeout: 120_000 });
const messages = [{ role: "user", content: "Say hello." }];
const greedy = { temperature: 0, max_tokens: 6 };
let model = "";

before(async () => {
  model = (await client.models.list()).data[0].id;
});

test("models", async () => {
  assert.equal((await client.models.retrieve(model)).id, model);
  await assert.rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError);
});

test("chat: a stream equals the whole", async () => {
  const whole = await client.chat.completions.create({ model, messages, ...greedy });
  assert.ok(whole.choices[0].message.content);
  assert.ok(whole.usage.completion_tokens <= 6);
  const stream = await client.chat.completions.create({
    model, messages, ...greedy, stream: true, stream_options: { include_usage: true },
  });
  let text = "";
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.deepEqual(usage.completion_tokens, whole.usage.completion_tokens);
});

test("chat: the helper that collects a stream", async () => {
  const final = await client.chat.completions.stream({ model, messages, ...greedy }).finalChatCompletion();
  assert.ok(final.choices[0].message.content);
});

test("completions: a stream equals the whole", async () => {
  const whole = await client.completions.create({ model, prompt: "One, two,", ...greedy });
  let text = "";
  for await (const chunk of await client.completions.create({ model, prompt: "One, two,", ...greedy, stream: true }))
    text += chunk.choices[0]?.text ?? "";
  assert.equal(text, whole.choices[0].text);
});

test("responses: created, streamed, read again, deleted", async () => {
  const options = { model, input: "Say hello.", temperature: 0, max_output_tokens: 6 };
  const whole = await client.responses.create(options);
  assert.ok(whole.output_text);
  assert.equal((await client.responses.retrieve(whole.id)).output_text, whole.output_text);
  await client.responses.delete(whole.id);
  await assert.rejects(client.responses.retrieve(whole.id), OpenAI.NotFoundError);
  let text = "";
  for await (const event of await client.responses.create({ ...options, stream: true })) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(text, whole.output_text);
});

test("leaving a stream ends it", async () => {
  const stream = await client.chat.completions.create({ model, messages, max_tokens: 2000, stream: true });
  for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) break;
  assert.ok(stream.controller.signal.aborted);
});

test("errors have their classes and fields", async () => {
  await assert.rejects(client.chat.completions.create({ model, messages, temperature: 3 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "temperature");
    assert.equal(error.type, "invalid_request_error");
    assert.ok(error.requestID);
    return true;
  });
  await assert.rejects(client.chat.completions.create({ model: "other", messages }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
});
