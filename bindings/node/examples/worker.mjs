// An engine in a worker thread: `workerData.question` in, the answer as its one message.
import { parentPort, workerData } from "node:worker_threads";
import { createEngine } from "../dist/esm/index.js";

const engine = await createEngine({ loadDefault: true });
const { text } = await engine.generate({ messages: [{ role: "user", content: workerData.question }], maxTokens: 32 });
await engine.dispose();
parentPort.postMessage(text);
