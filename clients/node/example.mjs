// The README's example: call bob with video and save what he shows.
//
//   node example.mjs /run/mediaagent/agent.sock USER_SIG

import { writeFileSync } from "node:fs";

import { Agent, Journal } from "./agent.mjs";

const [socket, userSig] = process.argv.slice(2);
const agent = new Agent(socket);
const journal = new Journal(agent);
await journal.opened;
await agent.login({ userId: "alice", userSig });
const mark = journal.mark;
await agent.call({ userId: "bob", type: "CALL_TYPE_VIDEO", timeout: { seconds: 30 } });
const entered = journal.expect("USER_ENTER", mark, () => true, 60_000).then(() => true);
const ended = journal.expect("CALL_END", mark, () => true, 60_000).then(() => false);
if (!(await Promise.race([entered, ended]))) {
  console.error("bob did not answer");
  process.exit(1);
}
writeFileSync("bob.png", (await agent.takeSnapshot({ userId: "bob" })).image);
await agent.hangup();
journal.close();
agent.close();
