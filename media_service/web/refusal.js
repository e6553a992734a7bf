// @ts-check
/** What the service answers when it cannot do what it was asked (RFC 9457 problem details). */

export class Refusal extends Error {
  /**
   * @param {string} detail words for a person
   * @param {{status: number, code: string, retryAfterMs: number | null}} facts
   */
  constructor(detail, { status, code, retryAfterMs }) {
    super(detail);
    this.name = "Refusal";
    this.status = status;
    /** The service's stable name for what is wrong. */
    this.code = code;
    /** When the service said to come back, milliseconds from now. */
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request can succeed later. An unknown device may yet be plugged in. */
  get isTemporary() {
    return this.status >= 500 || this.status === 404 || this.status === 408 || this.status === 429;
  }

  /**
   * Reads an answer that is not 2xx; never throws on what it says.
   *
   * @param {Response} response
   * @returns {Promise<Refusal>}
   */
  static async read(response) {
    const body = await response.json().catch(() => null);
    const problem = body !== null && typeof body === "object" ? body : {};
    const words = [problem.detail, problem.error, problem.title].find((text) => typeof text === "string" && text);
    const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    return new Refusal(words ?? `The service answered ${response.status} ${response.statusText}`.trim(), {
      status: response.status,
      code: typeof problem.code === "string" ? problem.code : "",
      retryAfterMs: Number.isFinite(seconds) ? Math.max(0, seconds) * 1000 : null,
    });
  }
}
