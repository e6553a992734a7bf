// The HTTP side of a WHEP player (RFC 9725 and draft-ietf-wish-whep), and how it tells the test what it sees: a JSON
// object per line on stdout. What the test wants of it comes line by line on stdin.

import { createInterface } from "node:readline";

export function tell(event, values = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...values })}\n`);
}

export class WhepSession {
  #location;
  #etag;

  // POST the offer; resolves with the answer.
  async start(endpoint, offer) {
    const response = await fetch(endpoint, { method: "POST", headers: { "Content-Type": "application/sdp" }, body: offer });
    const answer = await response.text();
    if (response.status !== 201) throw new Error(`POST: ${response.status} ${answer}`);
    this.#location = new URL(response.headers.get("Location"), response.url);
    this.#etag = response.headers.get("ETag");
    tell("answered", { offer, answer });
    return answer;
  }

  // PATCH candidates that were found after the offer was sent.
  async trickle(fragment) {
    const response = await this.#patch(fragment, this.#etag);
    if (response.status !== 204) throw new Error(`PATCH: ${response.status} ${await response.text()}`);
    tell("trickled", { status: response.status, fragment });
  }

  // PATCH new credentials; resolves with the service's fragment.
  async restart(fragment) {
    const response = await this.#patch(fragment, "*");
    const answer = await response.text();
    if (response.status !== 200) throw new Error(`PATCH: ${response.status} ${answer}`);
    const before = this.#etag;
    this.#etag = response.headers.get("ETag");
    tell("restarted", { etags: [before, this.#etag], fragment: answer });
    return answer;
  }

  async leave() {
    const response = await fetch(this.#location, { method: "DELETE" });
    tell("left", { status: response.status });
  }

  #patch(body, etag) {
    const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag };
    return fetch(this.#location, { method: "PATCH", headers, body });
  }
}

// The lines of `description` that a fragment repeats: credentials, the first m-section's head, and `candidates`.
export function fragmentOf(description, candidates) {
  const lines = description.split(/\r?\n/);
  const first = (prefix) => lines.find((line) => line.startsWith(prefix));
  const head = ["a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:"].map(first);
  return [...head, ...candidates, "a=end-of-candidates", ""].join("\r\n");
}

// Do what the test says until it says `leave` or goes away.
export async function obey(commands) {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "leave") break;
    await commands[line]();
  }
  await commands.leave();
  // Not before everything was told: what waits for the pipe would be lost.
  process.stdout.write("", () => process.exit(0));
}
