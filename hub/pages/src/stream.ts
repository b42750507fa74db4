// The WebSocket client of `odograph.v1`: signs in, subscribes to all vehicles, and comes back by itself when it is cut.
// The one that somebody looks at is subscribed to by its id as well: for the hub that means to ask it to be more exact.
import { HubClock, localMs } from "./clock.ts";
import { frameOf, type ServerFrame, type VehicleState } from "./frames.ts";

const PING_EVERY_MS = 10_000;
const SILENCE_MS = 25_000;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 20_000;
const SUBSCRIPTION = 1;
const LOOKED_AT = 2;
const CLOSE_AUTH = 4001;

export interface StreamHandler {
  snapshot(vehicles: readonly VehicleState[]): void;
  moves(vehicles: readonly VehicleState[]): void;
  leave(keys: readonly string[]): void;
  /** The token is not, or no longer, good. */
  refused(message: string): void;
  /** `retryAtMs` is local time; null while a try is under way. */
  lost(retryAtMs: number | null): void;
}

export class Stream {
  readonly clock = new HubClock();
  readonly #url: string;
  readonly #token: string;
  readonly #handler: StreamHandler;
  #socket: WebSocket | null = null;
  #tries = 0;
  #pingedMs = 0;
  #heardMs = 0;
  #retryTimer = 0;
  #beatTimer = 0;
  #closed = false;
  #looked: string | null = null;

  constructor(url: string, token: string, handler: StreamHandler) {
    this.#url = url;
    this.#token = token;
    this.#handler = handler;
  }

  open(): void {
    window.clearTimeout(this.#retryTimer);
    if (this.#closed || this.#socket !== null) return;
    const socket = new WebSocket(this.#url, "odograph.v1");
    this.#socket = socket;
    this.#heardMs = localMs();
    this.clock.reset();
    socket.onopen = () => {
      this.#pingedMs = localMs();
      this.#send({ op: "auth", token: this.#token });
      this.#send({ op: "sub", id: SUBSCRIPTION, topic: "vehicles" });
      if (this.#looked !== null) this.#look();
      this.#send({ op: "ping" });
    };
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => (event.code === CLOSE_AUTH ? this.#refuse("") : this.#lose(socket, null));
    window.clearInterval(this.#beatTimer);
    this.#beatTimer = window.setInterval(() => this.#beat(), PING_EVERY_MS / 2);
  }

  /** Somebody is looking, or the network is back: do not wait for the timer. */
  hurry(): void {
    if (this.#socket !== null || this.#closed) return;
    this.#handler.lost(null);
    this.open();
  }

  /** Somebody looks closely at this vehicle, or at none. */
  look(key: string | null): void {
    if (key === this.#looked) return;
    if (this.#looked !== null) this.#send({ op: "unsub", id: LOOKED_AT });
    this.#looked = key;
    if (key !== null) this.#look();
  }

  #look(): void {
    this.#send({ op: "sub", id: LOOKED_AT, topic: "vehicles", where: { ids: [this.#looked] } });
  }

  close(): void {
    this.#closed = true;
    if (this.#socket !== null) this.#socket.onclose = null;
    window.clearTimeout(this.#retryTimer);
    window.clearInterval(this.#beatTimer);
    this.#socket?.close(1000);
  }

  #send(frame: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #receive(data: unknown): void {
    this.#heardMs = localMs();
    const frame = typeof data === "string" ? frameOf(data) : null;
    // What the second subscription tells, the first tells too.
    if (frame !== null && (!("sub" in frame) || frame.sub === SUBSCRIPTION)) this.#take(frame);
  }

  #take(frame: ServerFrame): void {
    switch (frame.op) {
      case "hello":
      case "pong":
        this.clock.learn(frame.at, this.#pingedMs, this.#heardMs);
        break;
      case "snapshot":
        this.#tries = 0;
        this.#handler.snapshot(frame.vehicles);
        break;
      case "moves":
        this.#handler.moves(frame.vehicles);
        break;
      case "leave":
        this.#handler.leave(frame.veh);
        break;
      case "bye":
        if (this.#socket !== null) this.#lose(this.#socket, frame.retry_ms * (1 + Math.random()));
        break;
      case "error":
        if (frame.code === "auth") this.#refuse(frame.message);
        else console.warn(`stream: ${frame.code}: ${frame.message}`);
        break;
    }
  }

  #refuse(message: string): void {
    this.close();
    this.#handler.refused(message);
  }

  #beat(): void {
    if (this.#socket === null) return;
    const now = localMs();
    if (now - this.#heardMs > SILENCE_MS) return this.#lose(this.#socket, null);
    if (now - this.#pingedMs >= PING_EVERY_MS) {
      this.#pingedMs = now;
      this.#send({ op: "ping" });
    }
  }

  /** Full jitter, so that a hub that comes back is not met by all its pages at once. */
  #lose(socket: WebSocket, waitMs: number | null): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    socket.onclose = null;
    socket.close();
    if (this.#closed) return;
    const ceilingMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#tries++);
    const delayMs = waitMs ?? 300 + Math.random() * ceilingMs;
    this.#handler.lost(localMs() + delayMs);
    this.#retryTimer = window.setTimeout(() => this.hurry(), delayMs);
  }
}
