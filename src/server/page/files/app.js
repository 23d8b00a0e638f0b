// The chat: a conversation with one model, streamed. The view of the engine is in engine.js.
import { startEngineView } from "/ui/engine.js";
import { markdown } from "/ui/markdown.js";

const $ = (id) => document.getElementById(id);
const conversation = [];
let running = null;  // the AbortController of the answer that is under way

export function headers() {
  const key = $("key").value;
  return { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

function show(role, text) {
  const box = document.createElement("article");
  box.className = `message ${role}`;
  box.setAttribute("aria-label", role);
  box.textContent = text;
  $("messages").append(box);
  box.scrollIntoView({ block: "end" });
  return box;
}

function requestBody() {
  const system = $("system").value.trim();
  const messages = [...(system ? [{ role: "system", content: system }] : []), ...conversation];
  const body = { model: $("model").value, messages, stream: true, stream_options: { include_usage: true } };
  for (const name of ["temperature", "top_p", "top_k", "max_tokens", "seed"]) {
    if ($(name).value !== "") body[name] = Number($(name).value);
  }
  return body;
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const data = text.slice(0, end).replace(/^data: /, "");
      text = text.slice(end + 2);
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

function showSpeed(numTokens, firstAt, isFinal) {
  const seconds = (performance.now() - firstAt) / 1000;
  if (numTokens < 2 || seconds <= 0) return;
  $("speed").textContent = `${((numTokens - 1) / seconds).toFixed(1)} token/s${isFinal ? `, ${numTokens} tokens` : ""}`;
}

async function readAnswer(response, box) {
  const answer = { text: "", numTokens: 0, firstAt: 0 };
  let isDrawn = true;
  const draw = () => {
    isDrawn = true;
    box.replaceChildren(markdown(answer.text));
    showSpeed(answer.numTokens, answer.firstAt, false);
    $("messages").scrollTop = $("messages").scrollHeight;
  };
  try {
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      if (event.usage) answer.numTokens = event.usage.completion_tokens;
      const piece = event.choices?.[0]?.delta?.content;
      if (!piece) continue;
      answer.firstAt ||= performance.now();
      answer.numTokens += 1;
      answer.text += piece;
      if (isDrawn) requestAnimationFrame(draw);
      isDrawn = false;
    }
  } finally {
    draw();
    showSpeed(answer.numTokens, answer.firstAt, true);
    if (answer.text) conversation.push({ role: "assistant", content: answer.text });
  }
}

async function ask(text) {
  conversation.push({ role: "user", content: text });
  show("user", text);
  const box = show("assistant", "");
  running = new AbortController();
  $("send").disabled = true;
  $("stop").disabled = false;
  $("speed").textContent = "";
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST", headers: headers(), body: JSON.stringify(requestBody()), signal: running.signal,
    });
    if (!response.ok) throw new Error((await response.json()).error?.message ?? `status ${response.status}`);
    await readAnswer(response, box);
  } catch (error) {
    if (error.name !== "AbortError") show("error", error.message);
    if (!box.hasChildNodes()) box.remove();
  } finally {
    running = null;
    $("send").disabled = false;
    $("stop").disabled = true;
  }
}

async function listModels() {
  try {
    const response = await fetch("/v1/models", { headers: headers() });
    const { data } = await response.json();
    $("model").replaceChildren(...data.map((model) => new Option(model.id, model.id)));
  } catch (error) {
    if (!$("key").value) $("settings").open = true;  // most likely a key is asked for
  }
}

function select(view) {
  for (const name of ["chat", "engine"]) {
    $(name).hidden = name !== view;
    $(`show-${name}`).setAttribute("aria-pressed", String(name === view));
  }
}

$("key").value = sessionStorage.getItem("key") ?? "";
$("key").addEventListener("change", () => {
  sessionStorage.setItem("key", $("key").value);
  listModels();
});
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("prompt").value.trim();
  if (!text || running) return;
  $("prompt").value = "";
  ask(text);
});
$("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("form").requestSubmit();
});
$("stop").addEventListener("click", () => running?.abort());
$("clear").addEventListener("click", () => {
  running?.abort();
  conversation.length = 0;
  $("messages").replaceChildren();
});
$("show-chat").addEventListener("click", () => select("chat"));
$("show-engine").addEventListener("click", () => select("engine"));
listModels();
startEngineView(headers);
