// The view of the scheduler: asks /v1/status once a second while it is shown.

const $ = (id) => document.getElementById(id);
const NUM_SAMPLES = 60;
const samples = [];  // {at, steps, tokens} of the last minute

function tile(name, value) {
  const box = document.createElement("div");
  box.className = "tile";
  const figure = document.createElement("b");
  figure.textContent = value;
  const label = document.createElement("span");
  label.textContent = name;
  box.append(figure, label);
  return box;
}

const share = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(0)} %` : "-");

function showTiles({ engine }) {
  const used = engine.pages - engine.free_pages - engine.cached_pages;
  $("tiles").replaceChildren(
    tile("running", `${engine.running} of ${engine.max_sequences}`),
    tile("queued", engine.waiting),
    tile("pages in use", `${used} of ${engine.pages}`),
    tile("pages cached", engine.cached_pages),
    tile("prompt tokens cached", share(engine.cached_tokens, engine.prompt_tokens)),
    tile("preemptions", engine.preemptions),
    tile("device idle", share(engine.device_idle_share, 1)),
    tile("requests done", engine.requests_finished),
  );
}

function svg(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function showSteps() {
  const rates = samples.slice(1).map((sample, i) => {
    const seconds = (sample.at - samples[i].at) / 1000;
    const steps = sample.steps - samples[i].steps;
    return { steps: steps / seconds, rows: steps > 0 ? (sample.tokens - samples[i].tokens) / steps : 0 };
  });
  const topSteps = Math.max(1, ...rates.map((rate) => rate.steps));
  const topRows = Math.max(1, ...rates.map((rate) => rate.rows));
  const width = 600 / NUM_SAMPLES;
  const bars = rates.map((rate, i) => {
    const height = (110 * rate.steps) / topSteps;
    return svg("rect", { x: i * width, y: 120 - height, width: width - 1, height });
  });
  const points = rates.map((rate, i) => `${(i + 0.5) * width},${118 - (106 * rate.rows) / topRows}`).join(" ");
  $("steps").replaceChildren(...bars, svg("polyline", { points }));
  const last = rates.at(-1);
  if (last) $("steps").setAttribute("aria-label", `${last.steps.toFixed(1)} steps a second of ${last.rows.toFixed(1)} tokens`);
}

function cell(content) {
  const node = document.createElement("td");
  node.append(content);
  return node;
}

function bar(timings, longest) {
  const box = document.createElement("div");
  box.className = "bar";
  for (const name of ["queue", "prefill", "decode"]) {
    const part = document.createElement("i");
    part.className = name;
    part.style.width = `${(100 * (timings?.[`${name}_ms`] ?? 0)) / longest}%`;
    box.append(part);
  }
  if (timings) box.title = `queued ${timings.queue_ms.toFixed(1)} ms, prompt ${timings.prefill_ms.toFixed(1)} ms, answer ${timings.decode_ms.toFixed(1)} ms`;
  return box;
}

function showRequests(requests) {
  const total = (timings) => (timings ? timings.queue_ms + timings.prefill_ms + timings.decode_ms : 0);
  const longest = Math.max(1, ...requests.map((request) => total(request.choices[0].timings)));
  const rows = requests.map((request) => {
    const choice = request.choices[0];
    const row = document.createElement("tr");
    row.append(
      cell(request.id.slice(0, 14)), cell(choice.state), cell(bar(choice.timings, longest)),
      cell(String(choice.usage?.completion_tokens ?? "")), cell(String(choice.usage?.prompt_tokens_details.cached_tokens ?? "")),
    );
    return row;
  });
  $("requests").tBodies[0].replaceChildren(...rows);
}

export function startEngineView(headers) {
  const ask = async () => {
    if ($("engine").hidden || document.hidden) return;
    try {
      const response = await fetch("/v1/status", { headers: headers() });
      const status = await response.json();
      if (!response.ok) throw new Error(status.error?.message ?? `status ${response.status}`);
      samples.push({ at: performance.now(), steps: status.engine.steps, tokens: status.engine.step_tokens });
      if (samples.length > NUM_SAMPLES) samples.shift();
      $("engine-state").textContent = `${status.model.name}, ${status.model.quantization}, mlx-serving ${status.version}`;
      showTiles(status);
      showSteps();
      showRequests(status.requests);
    } catch (error) {
      $("engine-state").textContent = `No status: ${error.message}`;
    }
  };
  setInterval(ask, 1000);
  $("show-engine").addEventListener("click", ask);
}
