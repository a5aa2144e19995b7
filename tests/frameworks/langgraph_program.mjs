// A program of LangGraph's JavaScript package: two nodes side by side, one that waits for both, and an approval.
//
//     langgraph_program.mjs FILE run THREAD TEXT    run the graph once more
//     langgraph_program.mjs FILE approve THREAD     answer the approval with yes
//     langgraph_program.mjs FILE state THREAD       say what LangGraph makes of the thread
//
// FILE may be the URL of a database. Each prints the history as JSON, the newest checkpoint first.
// It is run in a folder that has the packages: see docs/contributing.md.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.cwd()}/`));
const { Annotation, Command, END, MessagesAnnotation, START, StateGraph, interrupt } = require("@langchain/langgraph");
const { AIMessage, HumanMessage, ToolMessage } = require("@langchain/core/messages");
const { SqliteSaver } = require("@langchain/langgraph-checkpoint-sqlite");

async function saverOf(path) {
  if (!path.startsWith("postgresql://")) return SqliteSaver.fromConnString(path);
  const { PostgresSaver } = require("@langchain/langgraph-checkpoint-postgres");
  const saver = PostgresSaver.fromConnString(path);
  await saver.setup();
  return saver;
}

const State = Annotation.Root({
  ...MessagesAnnotation.spec,
  rounds: Annotation({ reducer: (before, after) => after ?? before, default: () => 0 }),
  seen: Annotation({ reducer: (before, after) => before.concat(after), default: () => [] }),
  answer: Annotation(),
});

const [path, verb, thread, text] = process.argv.slice(2);
const saver = await saverOf(path);
const graph = new StateGraph(State)
  .addNode("model", (state) => ({
    messages: [new AIMessage({ content: `answer ${state.rounds}`, tool_calls: [{ name: "look", args: {}, id: `c${state.rounds}` }] })],
    rounds: state.rounds + 1,
    seen: ["model"],
  }))
  .addNode("tool", (state) => ({ messages: [new ToolMessage({ content: "done", tool_call_id: `c${state.rounds - 1}` })], seen: ["tool"] }))
  .addNode("note", () => ({ seen: ["note"] }))
  .addNode("ask", (state) => ({ answer: state.rounds % 2 ? "none" : interrupt("go on?"), seen: ["ask"] }))
  .addEdge(START, "model")
  .addEdge("model", "tool")
  .addEdge("model", "note")
  .addEdge(["tool", "note"], "ask")
  .addEdge("ask", END)
  .compile({ checkpointer: saver });
const config = { configurable: { thread_id: thread } };

if (verb === "run") await graph.invoke({ messages: [new HumanMessage(text)] }, config);
if (verb === "approve") await graph.invoke(new Command({ resume: "yes" }), config);
if (verb === "go-on") await graph.invoke(null, config);

const history = [];
for await (const state of graph.getStateHistory(config)) {
  const { messages = [], ...values } = state.values;
  history.push([state.config.configurable.checkpoint_id, { ...values, said: messages.map((message) => message.content) }, state.next]);
}
console.log(JSON.stringify({ history }));
await saver.end?.();
