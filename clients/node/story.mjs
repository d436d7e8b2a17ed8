// The 1:1 story of the demonstration, told from Node over two agents' sockets.
//
//   node story.mjs ALICE_SOCKET BOB_SOCKET        with ALICE_SIG and BOB_SIG in the environment
//
// One JSON line per step; exits with 1 at the first step that does not happen.

import assert from "node:assert/strict";

import { Agent, Journal, reasonOf } from "./agent.mjs";

const [aliceSocket, bobSocket] = process.argv.slice(2);
const alice = new Agent(aliceSocket);
const bob = new Agent(bobSocket);
const heard = { alice: new Journal(alice), bob: new Journal(bob) };
const began = performance.now();

async function step(name, action) {
  try {
    const detail = await action();
    console.log(JSON.stringify({ ms: Math.round(performance.now() - began), step: name, ...(detail && { detail }) }));
  } catch (error) {
    console.log(JSON.stringify({ ms: Math.round(performance.now() - began), failed: name, why: String(error.message) }));
    process.exit(1);
  }
}

const marks = () => [heard.alice.mark, heard.bob.mark];

async function refused(promise, reason) {
  await assert.rejects(promise, (error) => {
    assert.equal(reasonOf(error), reason, error.message);
    return true;
  });
}

async function bothEnd([a, b], reason) {
  for (const [journal, mark] of [[heard.alice, a], [heard.bob, b]]) {
    const { call } = await journal.expect("CALL_END", mark);
    assert.equal(call.endReason, `END_REASON_${reason}`);
  }
}

/** Waits until the other is a participant, then for the first picture of a view. */
async function firstPicture(agent, journal, other) {
  await journal.expect("CALL_CHANGED", 0, ({ call }) => call.participants.some((p) => p.userId === other));
  await agent.startRemoteView({
    userId: other, viewId: "node", frames: { format: "FRAME_FORMAT_JPEG", maxWidth: 320 },
  });
  const stream = agent.watchView({ viewId: "node" });
  const picture = await new Promise((resolve, reject) => {
    stream.once("data", resolve);
    stream.on("error", reject);
  });
  stream.cancel();
  await agent.stopRemoteView({ viewId: "node" });
  assert.equal(picture.data.subarray(0, 2).toString("hex"), "ffd8");
  return `${picture.width}x${picture.height}`;
}

async function talk() {
  let invited;
  let [a, b] = marks();
  await step("alice calls bob with video", async () => {
    const { call } = await alice.call({ userId: "bob", type: "CALL_TYPE_VIDEO", timeout: { seconds: 30 } });
    assert.equal(call.state, "CALL_STATE_DIALLING");
  });
  await step("bob is INVITED", async () => {
    invited = await heard.bob.expect("INVITED", b, ({ sponsor }) => sponsor === "alice");
    assert.equal(invited.inviteData.callType, "CALL_TYPE_VIDEO");
  });
  await step("bob accepts", () => bob.accept({ inviteId: invited.inviteId }).then(() => ""));
  await step("both get USER_ENTER", async () => {
    await heard.alice.expect("USER_ENTER", a, ({ userId }) => userId === "bob");
    await heard.bob.expect("USER_ENTER", b, ({ userId }) => userId === "alice");
  });
  await step("bob sees alice", () => firstPicture(bob, heard.bob, "alice"));
  await step("alice takes a snapshot of bob", async () => {
    const { image, mediaType } = await alice.takeSnapshot({ userId: "bob" });
    assert.equal(mediaType, "image/png");
    assert.equal(image.subarray(1, 4).toString(), "PNG");
    return `${image.length} bytes`;
  });
  for (const isMute of [true, false]) {
    await step(`bob ${isMute ? "mutes" : "unmutes"}, alice learns of it`, async () => {
      const mark = heard.alice.mark;
      await bob.setMicMute({ isMute });
      await heard.alice.expect("USER_AUDIO_AVAILABLE", mark, (e) => e.isAudioAvailable === !isMute);
    });
  }
  await step("alice switches to audio, bob's call changes", async () => {
    const mark = heard.bob.mark;
    await alice.switchToAudioCall();
    await heard.bob.expect("CALL_CHANGED", mark, ({ call }) => call.type === "CALL_TYPE_AUDIO");
  });
  [a, b] = marks();
  await step("bob hangs up, the call is over for both", async () => {
    await bob.hangup();
    await bothEnd([a, b], "HANGUP");
  });
}

await step("both connect", () => Promise.all([heard.alice.opened, heard.bob.opened]).then(() => ""));
await step("nothing works before the login", () =>
  refused(alice.call({ userId: "bob", type: "CALL_TYPE_VIDEO" }), "NOT_LOGGED_IN"));
await step("both log in", async () => {
  const { session } = await alice.login({ userId: "alice", userSig: process.env.ALICE_SIG });
  assert.equal(session.state, "SESSION_STATE_ONLINE");
  await bob.login({ userId: "bob", userSig: process.env.BOB_SIG });
});
await step("a user that nobody knows", () =>
  refused(alice.call({ userId: "nobody", type: "CALL_TYPE_VIDEO" }), "USER_UNKNOWN"));
await talk();
let before = marks();
await step("bob calls alice, who rejects", async () => {
  await bob.call({ userId: "alice", type: "CALL_TYPE_AUDIO" });
  const { inviteId } = await heard.alice.expect("INVITED", before[0]);
  await alice.reject({ inviteId });
  await heard.bob.expect("REJECT", before[1], ({ userId }) => userId === "alice");
  await bothEnd(before, "REJECTED");
});
before = marks();
await step("alice calls bob and cancels", async () => {
  await alice.call({ userId: "bob", type: "CALL_TYPE_AUDIO" });
  await heard.bob.expect("INVITED", before[1]);
  await alice.hangup();
  await heard.bob.expect("CALLING_CANCEL", before[1]);
  await bothEnd(before, "CANCELLED");
});
await step("alice calls a group, bob is in it", async () => {
  before = marks();
  await alice.createGroup({ groupId: "two", memberIds: ["bob"] });
  await alice.groupCall({ groupId: "two", type: "CALL_TYPE_AUDIO", timeout: { seconds: 30 } });
  const { inviteId, isFromGroup } = await heard.bob.expect("INVITED", before[1]);
  assert.ok(isFromGroup);
  await bob.accept({ inviteId });
  await heard.alice.expect("USER_ENTER", before[0], ({ userId }) => userId === "bob");
  await bob.hangup();
  await bothEnd(before, "HANGUP");
  await alice.deleteGroup({ groupId: "two" });
});
await step("the history has it", async () => {
  const { records } = await bob.listRecords({ pageSize: 1 });
  assert.equal(records[0].groupId, "two");
  assert.equal(records[0].endReason, "END_REASON_HANGUP");
  await alice.deleteRecords({ all: true });
  assert.equal((await alice.listRecords()).total, 0);
});
await step("both log out", async () => {
  for (const agent of [alice, bob]) {
    assert.equal((await agent.logout()).session.state, "SESSION_STATE_LOGGED_OUT");
  }
});
for (const end of [heard.alice, heard.bob, alice, bob]) end.close();
