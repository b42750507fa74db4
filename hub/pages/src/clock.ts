// The hub's clock as this page knows it: the estimate from the quickest of the newest exchanges.

const KEPT = 8;

interface Exchange {
  readonly offsetMs: number;
  readonly tripMs: number;
}

/** This machine's own time, which no change of the system clock moves. */
export const localMs = (): number => performance.timeOrigin + performance.now();

export class HubClock {
  #exchanges: Exchange[] = [];
  #offsetMs = 0;

  /** A new connection may lead to another machine, or follow a night's sleep: what was known no longer counts. */
  reset(): void {
    this.#exchanges = [];
  }

  /** `atMs` is the hub's time in an answer that was asked for at `sentMs` and came at `gotMs` of this machine. */
  learn(atMs: number, sentMs: number, gotMs: number): void {
    const tripMs = Math.max(0, gotMs - sentMs);
    this.#exchanges = [...this.#exchanges, { offsetMs: atMs + tripMs / 2 - gotMs, tripMs }].slice(-KEPT);
    this.#offsetMs = this.#exchanges.reduce((best, next) => (next.tripMs <= best.tripMs ? next : best)).offsetMs;
  }

  hubMs(atLocalMs: number = localMs()): number {
    return atLocalMs + this.#offsetMs;
  }
}
