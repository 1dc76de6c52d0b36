"use strict";
// Signs in, lists workflows, runs one. The access token stays in memory; the cookie, which no script can read, renews it.

const part = (id) => document.getElementById(id);
const views = ["welcome", "sign-in", "workflows", "run"].map(part);
let token = null;

// An answer as JSON; what a problem says as an error.
async function call(method, path, body, bearer = token) {
  const headers = {};
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Error("The server cannot be reached.");
  }
  const text = await response.text();
  const json = text && /json/.test(response.headers.get("Content-Type") ?? "") ? JSON.parse(text) : null;
  if (response.ok) return json;
  const findings = (json?.diagnostics ?? []).map((finding) => `${finding.pointer ?? ""} ${finding.message}`.trim());
  const said = [json?.detail ?? `The server answered ${response.status}.`, ...findings, json?.hint].filter(Boolean);
  throw Object.assign(new Error(said.join("\n")), { status: response.status });
}

// The same for someone who is signed in: an access token that has expired is renewed once.
async function signedIn(method, path, body) {
  try {
    return await call(method, path, body);
  } catch (error) {
    if (error.status !== 401) throw error;
    begin(await call("POST", "/api/auth/refresh", undefined, null));
    return await call(method, path, body);
  }
}

function begin(answer) {
  token = answer.access_token;
  part("who").hidden = false;
  part("who").firstElementChild.textContent = answer.user.email;
}

function end() {
  token = null;
  part("who").hidden = true;
}

function show(view) {
  for (const each of views) each.hidden = each !== view;
  part("problem").hidden = true;
  view.querySelector("h2").focus();
}

function tell(error) {
  part("problem").textContent = error.message;
  part("problem").hidden = false;
  if (error.status === 401 && token) {
    end();
    views.forEach((each) => { each.hidden = each.id !== "sign-in"; });
  }
}

const named = (name) => `#run=${encodeURIComponent(name)}`;

function element(name, text, properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  if (text !== undefined) made.textContent = text;
  return made;
}

async function listWorkflows() {
  const list = part("workflows").querySelector("ul");
  list.replaceChildren();
  let after = null;
  do {
    const page = await signedIn("GET", `/api/workflows${after ? `?after=${encodeURIComponent(after)}` : ""}`);
    for (const workflow of page.workflows) {
      const item = element("li");
      const name = workflow.published ? element("a", workflow.name, { href: named(workflow.name) }) : workflow.name;
      item.append(name, workflow.description ? ` – ${workflow.description}` : "");
      list.append(item);
    }
    after = page.next;
  } while (after);
  part("none").hidden = list.children.length > 0;
  show(part("workflows"));
}

// A field for an input; what no field fits is written as JSON.
function field(name, schema, required) {
  const kind = [schema.type].flat()[0];
  let input;
  if (schema.enum) {
    input = element("select");
    if (!required) input.append(element("option", "", { value: "" }));
    for (const value of schema.enum) input.append(element("option", String(value), { value: JSON.stringify(value) }));
  } else if (kind === "boolean") {
    input = element("input", undefined, { type: "checkbox", checked: schema.default === true });
  } else if (kind === "integer" || kind === "number") {
    input = element("input", undefined, { type: "number", step: kind === "integer" ? "1" : "any" });
  } else {
    input = element("textarea", undefined, { rows: 3 });
  }
  input.name = name;
  const isFlag = input.type === "checkbox";
  input.required = required && !isFlag;
  if (schema.default !== undefined && !isFlag) {
    input.value = schema.enum || typeof schema.default !== "string" ? JSON.stringify(schema.default) : schema.default;
  }
  input.dataset.kind = schema.enum ? "json" : isFlag ? "flag" : kind === "string" ? "text" : "json";
  const note = [schema.description, !isFlag && !schema.enum && !["string", "integer", "number"].includes(kind) && "As JSON."];
  const label = element("label", undefined, { className: isFlag ? "flag" : "" });
  const title = element("span", required || isFlag ? name : `${name} (optional)`);
  if (note.some(Boolean)) title.append(element("small", note.filter(Boolean).join(" ")));
  label.append(...(isFlag ? [input, title] : [title, input]));
  return label;
}

function valueOf(input) {
  if (input.dataset.kind === "flag") return input.checked;
  if (input.value === "" && !input.required) return undefined;
  if (input.dataset.kind === "text") return input.value;
  try {
    return JSON.parse(input.value);
  } catch {
    input.focus();
    throw new Error(`${input.name}: this is no JSON.`);
  }
}

async function showWorkflow(name) {
  const workflow = await signedIn("GET", `/api/workflows/${encodeURIComponent(name)}`);
  const view = part("run");
  view.querySelector("h2").textContent = workflow.name;
  part("about").textContent = workflow.description ?? "";
  part("result").replaceChildren();
  const { properties = {}, required = [] } = workflow.inputs ?? {};
  const fields = Object.entries(properties).map(([input, schema]) => field(input, schema, required.includes(input)));
  part("inputs").replaceChildren(...fields);
  show(view);
}

async function runWorkflow(form) {
  const inputs = {};
  for (const input of form.querySelectorAll("[name]")) {
    const value = valueOf(input);
    if (value !== undefined) inputs[input.name] = value;
  }
  const workflow = part("run").querySelector("h2").textContent;
  part("result").replaceChildren(element("p", "It runs …"));
  try {
    const run = await signedIn("POST", "/api/runs", { workflow, inputs });
    const failure = run.error ? `${run.error.code}: ${run.error.message}\n${run.error.hint ?? ""}` : null;
    const said = failure ?? JSON.stringify(run.outputs, null, 2);
    part("result").replaceChildren(element("h3", `${run.status}: ${run.id}`), element("pre", said));
  } catch (error) {
    part("result").replaceChildren();
    throw error;
  }
}

async function route() {
  const place = new URLSearchParams(location.hash.slice(1));
  const link = place.get("token");
  if (link) {
    const isFirst = link.startsWith("lo_");
    for (const id of ["first", "first-email"]) part(id).hidden = !isFirst;
    part("welcome").elements.email.disabled = !isFirst;
    return show(part("welcome"));
  }
  if (!token) {
    try {
      begin(await call("POST", "/api/auth/refresh"));
    } catch (error) {
      show(part("sign-in"));
      if (error.status !== 401) throw error;
      return;
    }
  }
  const workflow = place.get("run");
  return workflow ? showWorkflow(workflow) : listWorkflows();
}

// Does what a form is for, once at a time.
function on(form, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    part("problem").hidden = true;
    try {
      await act(form);
    } catch (error) {
      tell(error);
    } finally {
      button.disabled = false;
    }
  });
}

const go = () => route().catch(tell);

on(part("sign-in"), async (form) => {
  const { email, password } = form.elements;
  begin(await call("POST", "/api/auth/sign-in", { email: email.value, password: password.value }));
  form.reset();
  await route();
});
on(part("welcome"), async (form) => {
  const { email, password } = form.elements;
  const link = new URLSearchParams(location.hash.slice(1)).get("token");
  const mine = email.disabled ? {} : { email: email.value };
  begin(await call("POST", "/api/auth/welcome", { token: link, password: password.value, ...mine }));
  form.reset();
  // The link works no more: it need not stay in the history.
  history.replaceState(null, "", location.pathname);
  await route();
});
on(part("run").querySelector("form"), runWorkflow);
part("out").addEventListener("click", async () => {
  try {
    await call("POST", "/api/auth/sign-out");
    end();
    show(part("sign-in"));
  } catch (error) {
    tell(error);
  }
});
addEventListener("hashchange", go);
go();
