// @ts-check
/** Runs before the page's own scripts: `negotiations` has, for each peer connection, the signaling states it entered. */
{
  const Plain = window.RTCPeerConnection;
  /** @type {string[][]} */
  const negotiations = [];
  window.RTCPeerConnection = class extends Plain {
    /** @param {RTCConfiguration} [configuration] */
    constructor(configuration) {
      super(configuration);
      /** @type {string[]} */
      const states = [];
      negotiations.push(states);
      this.addEventListener("signalingstatechange", () => states.push(this.signalingState));
    }
  };
  Object.assign(window, { negotiations });
}
