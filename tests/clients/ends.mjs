// What a client hears when its agent refuses, ends the stream, or goes; test_node.py does that to it.
//
//   node ends.mjs AGENT_MJS SOCKET        a line on stdin says that the agent has stopped
//
// One JSON line per step.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [client, socket] = process.argv.slice(2);
const { Agent, Journal, reasonOf } = await import(pathToFileURL(client));

const tell = (step, what) => console.log(JSON.stringify({ step, ...what }));

/** What a promise gave, or why it was rejected. */
const outcome = (promise) => promise.then(
  (given) => ({ given }),
  (error) => ({ code: error.code, reason: reasonOf(error), why: error.message }),
);

const agent = new Agent(socket);
const journal = new Journal(agent);
await journal.opened;
tell("opened");
await journal.expect("USER_ENTER", 0);
tell("refused", await outcome(agent.call({ userId: "nobody" })));
tell("nothing came", await outcome(journal.expect("REJECT", 0, () => true, 50)));

const both = [outcome(journal.expect("REJECT", 0)), outcome(journal.expect("USER_LEAVE", 0))];
tell("both wait");
for (const end of await Promise.all(both)) tell("cut", end);
tell("nobody waits", { waiting: journal.waiting.size });
tell("heard before", await outcome(journal.expect("USER_ENTER", 0)));
tell("too late", await outcome(journal.expect("REJECT", 0)));

const closed = new Journal(agent);
await closed.opened;
closed.close();
tell("closed", await outcome(closed.expect("REJECT", 0)));

const last = new Journal(agent);
await last.opened;
const gone = outcome(last.expect("REJECT", 0));
tell("one waits");
tell("gone", await gone);
await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next();
tell("not opened", await outcome(new Journal(agent).opened));
tell("no answer", await outcome(agent.getStatus()));
agent.close();
process.exit(0);
