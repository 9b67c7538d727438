// The cases of the filter as JSONL. Built as text, so that large numbers stay as they were written.
const text = JSON.stringify;
const list = (items) => `[${items.join(",")}]`;
const object = (entries) => `{${entries.map(([key, value]) => `${text(key)}:${value}`).join(",")}}`;

// NaN and Infinity are no JSON, though models write them: such a value is kept as a string.
function json(valueText) {
  try {
    JSON.parse(valueText);
    return valueText.replace(/\n\s*/g, "");
  } catch {
    return text(valueText);
  }
}

const ofType = (entries) => object([["type", text("function")], ["function", object(entries)]]);
const callJson = ([name, args]) => ofType([["name", text(name)], ["arguments", object(args.map(([key, value]) => [key, json(value)]))]]);
const toolJson = ([name, description, parameters]) =>
  ofType([["name", text(name)], ["description", text(description)], ["parameters", json(parameters)]]);

function goldJson(ranking, query) {
  const call = query.calls.find(([name]) => name === ranking[0]) || [ranking[0], []];
  return object([["ranking", text(ranking)], ["tool_call", callJson(call)]]);
}

function answerJson(found, judged) {
  const entries = [["text", text(found.x)]];
  if (found.cut) entries.push(["characters", found.cut]);
  entries.push(["outcome", text(found.o)], ["tool_call", found.c ? callJson(found.c) : "null"]);
  if (found.r) entries.push(["ranking", text(found.r)]);
  if (found.e) entries.push(["error", text(found.e)]);
  if (judged) {
    entries.push(["class", text(data.classes[mainClass(judged)])], ["classes", text(judged[0].map((n) => data.classes[n]))]);
  }
  return object(entries);
}

function modelJson(model, index) {
  const c = data.cases[index], r = result(model, index);
  if (!r) return null;
  const entries = [["model", text(model)], ["seed", text(Number(seedOf(model)))],
    ["before", answerJson(called(model, c.q, c.b), r[0])], ["after", answerJson(called(model, c.q, c.a), r[1])]];
  const ranking = answer(model, "rank", c.q, c.a);
  if (ranking) entries.push(["ranking", answerJson(ranking)]);
  return object(entries);
}

function caseJson(index) {
  const c = data.cases[index], query = data.queries[c.q];
  const names = (set) => text(data.sets[set].tools.map((id) => data.tools[id][0]));
  const tools = [...new Set([...data.sets[c.b].tools, ...data.sets[c.a].tools])];
  return object([
    ["id", text(c.id)], ["query", text(query.text)], ["now", text(query.now)],
    ["scenario", text(data.scenarios[c.s])], ["transition", text(data.transitions[c.t])],
    ["shown", object([["before", names(c.b)], ["after", names(c.a)]])],
    ["gold", object([["before", goldJson(c.gb, query)], ["after", goldJson(c.ga, query)]])],
    ["models", list(data.models.map((m) => modelJson(m, index)).filter(Boolean))],
    ["tools", list(tools.map((id) => toolJson(data.tools[id])))],
  ]);
}

// Some readers take these two for the end of a line; in JSON they can only stand in a string.
const oneLine = (line) => line.replace(/[\u2028\u2029]/g, (c) => (c === "\u2028" ? "\\u2028" : "\\u2029"));

byId("download").addEventListener("click", () => {
  const lines = new Blob(shown.map((index) => `${oneLine(caseJson(index))}\n`), { type: "application/x-ndjson" });
  const link = el("a", { href: URL.createObjectURL(lines), download: `${data.run.replace(/[^\w.-]+/g, "_")}-cases.jsonl` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});
