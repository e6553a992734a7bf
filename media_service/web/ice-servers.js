// @ts-check
/** The STUN and TURN servers that the service names for its viewers. */

import { Token } from "./token.js";

/** Credentials for TURN expire; nobody hands out shorter ones than this. */
const AGE_MS = 300000;
const TIMEOUT_MS = 3000;

export class IceServers {
  #address;
  #token;
  /** @type {{servers: RTCIceServer[], at: number} | null} */
  #known = null;

  /**
   * @param {URL} address
   * @param {Token} [token]
   */
  constructor(address, token = new Token()) {
    this.#address = address;
    this.#token = token;
  }

  /** Asks anew the next time: credentials are those of one user. */
  forget() {
    this.#known = null;
  }

  /** @returns {Promise<RTCIceServer[]>} none when the service cannot say: most viewers need none */
  async get() {
    if (this.#known !== null && performance.now() - this.#known.at < AGE_MS) return this.#known.servers;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(this.#address, { headers: this.#token.headers(), signal });
      const { iceServers } = await response.json();
      if (!response.ok || !Array.isArray(iceServers)) return [];
      this.#known = { servers: iceServers, at: performance.now() };
      return iceServers;
    } catch {
      return [];
    }
  }
}
