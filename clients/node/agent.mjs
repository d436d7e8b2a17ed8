// A small client of the media agent, straight from the .proto files: nothing is generated.

import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const PROTO = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "proto");
const FILES = readdirSync(join(PROTO, "mediaagent", "v1")).map((name) => join("mediaagent", "v1", name));
const OPTIONS = { includeDirs: [PROTO], longs: Number, enums: String, defaults: true, oneofs: true };
const { v1 } = grpc.loadPackageDefinition(loader.loadSync(FILES, OPTIONS)).mediaagent;

const DEADLINE_MS = 15_000;

// In the status details: Any { type_url: ".../google.rpc.ErrorInfo", value: { reason, domain, ... } }. The
// tags and lengths around the reason are enough to find it, which spares us the google.rpc protos.
const REASON = /google\.rpc\.ErrorInfo\x12[^]{1,2}\n[^]([A-Z_]+)\x12/;

/** The reason of a failed RPC ("USER_UNKNOWN"), empty when the agent gave none. */
export function reasonOf(error) {
  const details = error.metadata?.get("grpc-status-details-bin")[0];
  return details?.toString("latin1").match(REASON)?.[1] ?? "";
}

/** One agent: every RPC of the contract as a method that returns a promise. */
export class Agent {
  constructor(socket) {
    this.clients = [];
    for (const [name, Service] of Object.entries(v1)) {
      if (!name.endsWith("Service")) continue;
      const client = new Service(`unix:${socket}`, grpc.credentials.createInsecure());
      this.clients.push(client);
      for (const [rpc, definition] of Object.entries(Service.service)) {
        this[definition.originalName] = definition.responseStream
          ? (request = {}) => client[rpc](request)
          : (request = {}) => unary(client, rpc, request);
      }
    }
  }

  close() {
    for (const client of this.clients) client.close();
  }
}

// Timers go by the monotonic clock. grpc-js takes a deadline by the wall clock, which may be set meanwhile.
function unary(client, rpc, request) {
  return new Promise((resolve, reject) => {
    const call = client[rpc](request, (error, reply) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve(reply);
    });
    const timer = setTimeout(() => {
      const late = new Error(`no answer to ${rpc} in ${DEADLINE_MS} ms`);
      reject(Object.assign(late, { code: grpc.status.DEADLINE_EXCEEDED }));
      call.cancel();
    }, DEADLINE_MS);
  });
}

/**
 * Everything that an agent told since it was opened, on one stream. It has no reconnect: when the stream ends
 * (`failed` says why), whoever waits is told, and a new Journal begins with a new snapshot. A client that must
 * live for years resumes with its last cursor instead, as clients/python does; heartbeats carry one, too.
 */
export class Journal {
  constructor(agent) {
    this.events = [];
    this.waiting = new Set();
    this.failed = null;
    this.stream = agent.subscribe();
    this.opened = new Promise((resolve, reject) => {
      this.stream.on("data", (message) => {
        if (message.body === "snapshot") resolve(message.snapshot);
        if (message.body === "event") this.note(message.event);
      });
      const fail = (error) => {
        this.failed ??= error;
        reject(error);
        this.look();
      };
      this.stream.on("error", fail);
      this.stream.on("end", () => fail(new Error("the agent ended the stream")));
    });
    this.opened.catch(() => {}); // Cancelled in close(), when nobody waits any more.
  }

  note(event) {
    this.events.push(event);
    this.look();
  }

  look() {
    for (const look of this.waiting) look();
  }

  get mark() {
    return this.events.length;
  }

  /** The first event of that type after the mark that is as wanted; rejects when the stream has ended. */
  expect(type, mark, wanted = () => true, within = 10_000) {
    const find = () => this.events.slice(mark).find((e) => e.type === `EVENT_TYPE_${type}` && wanted(e[e.body]));
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find();
        if (!found && !this.failed) return;
        clearTimeout(timer);
        this.waiting.delete(look);
        if (found) resolve(found[found.body]);
        else reject(this.failed);
      };
      const timer = setTimeout(() => {
        this.waiting.delete(look);
        const heard = this.events.slice(mark).map((e) => e.type.slice(11)).join(", ") || "nothing";
        reject(new Error(`no such ${type} in ${within} ms; heard ${heard}`));
      }, within);
      this.waiting.add(look);
      look();
    });
  }

  close() {
    this.stream.cancel();
  }
}
