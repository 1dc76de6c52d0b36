// OpenAI's own client against a server: FOLDER-OF-THE-PACKAGE URL KEY. Fails with what it did not expect.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [, , folder, url, key] = process.argv;
const { OpenAI } = createRequire(`${folder}/`)("openai");
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });

const ids = [];
for await (const model of client.models.list()) ids.push(model.id);
assert.deepEqual(ids, ["chat", "open", "reverse"]);

const messages = [{ role: "user", content: "What is next?" }];
const reply = await client.chat.completions.create({ model: "chat", messages });
assert.equal(reply.choices[0].message.content, "You said: What is next?");
assert.equal(reply.usage.total_tokens, 1500);

let text = "";
let used = null;
const options = { model: "chat", messages, stream: true, stream_options: { include_usage: true } };
for await (const piece of await client.chat.completions.create(options)) {
  text += piece.choices[0]?.delta.content ?? "";
  used = piece.usage ?? used;
}
assert.equal(text, "You said: What is next?");
assert.equal(used.completion_tokens, 500);

// The caller's tools: the client itself calls them, and asks again.
const hours = (day) => `until six, ${JSON.stringify(day)}`;
const runner = client.chat.completions.runTools({
  model: "open",
  messages: [{ role: "user", content: "Is it open?" }],
  tools: [{ type: "function", function: { name: "hours", function: hours, parse: JSON.parse, parameters: { type: "object" } } }],
});
assert.equal(await runner.finalContent(), 'You said: until six, {"day":"today"}');

const completion = await client.completions.create({ model: "reverse", prompt: "abc" });
assert.equal(completion.choices[0].text, "cba");
const vectors = await client.embeddings.create({ model: "embed", input: "one" });
assert.equal(vectors.data[0].embedding.length, 384);

await assert.rejects(client.chat.completions.create({ model: "gpt-4o", messages }), { status: 404, code: "model_not_found" });
await assert.rejects(new OpenAI({ baseURL: `${url}/v1`, apiKey: "wrong", maxRetries: 0 }).models.list(), { status: 401 });
