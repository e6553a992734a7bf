// @ts-check
/** Keeps a video's picture in sight while the video itself has none, or none worth showing. */

export class Still {
  #video;
  #canvas;

  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLCanvasElement} canvas lies over the video
   */
  constructor(video, canvas) {
    this.#video = video;
    this.#canvas = canvas;
    canvas.hidden = true;
  }

  get isShown() {
    return !this.#canvas.hidden;
  }

  /** Shows the video's present picture, unless one is kept already or there is none. */
  keep() {
    const { videoWidth, videoHeight, readyState } = this.#video;
    if (this.isShown || videoWidth === 0 || readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    this.#canvas.width = videoWidth;
    this.#canvas.height = videoHeight;
    this.#canvas.getContext("2d")?.drawImage(this.#video, 0, 0);
    this.#canvas.hidden = false;
  }

  /** Gives way to the video. */
  drop() {
    this.#canvas.hidden = true;
    this.#canvas.width = this.#canvas.height = 0;
  }
}
