// The README's ten lines: call bob with video and save what he shows.
//
//   node example.mjs /run/mediaagent/agent.sock USER_SIG

import { writeFileSync } from "node:fs";

import { Agent, Journal } from "./agent.mjs";

const [socket, userSig] = process.argv.slice(2);
const agent = new Agent(socket);
const journal = new Journal(agent);
await journal.opened;
await agent.login({ userId: "alice", userSig });
await agent.call({ userId: "bob", type: "CALL_TYPE_VIDEO", timeout: { seconds: 30 } });
await journal.expect("USER_ENTER", 0, () => true, 30_000);
writeFileSync("bob.png", (await agent.takeSnapshot({ userId: "bob" })).image);
await agent.hangup();
journal.close();
agent.close();
