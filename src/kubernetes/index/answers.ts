import type { Described, Stored } from "../model/stored.ts";

/** Who is at ends that are alike, and what is said of them. */
export interface Answer {
  readonly found: readonly Stored[];
  readonly facts: Described | undefined;
  /** What is said of them together with others, for ends with two names. */
  joined: Joined | undefined;
}

/** The next hangs on it. It does not hold the other answer, on which older ones may hang without end. */
interface Joined {
  /** Of the other answer. */
  readonly found: readonly Stored[];
  readonly facts: Described | undefined;
  readonly next: Joined | undefined;
}

interface Kept {
  readonly key: number;
  readonly answer: Answer;
  readonly next: Kept | undefined;
}

/** With more than so many a search is no quicker than to ask anew. */
const CAPACITY = 16;

/** What was said of the ends at one address, as of an epoch. */
export class Answers {
  #epoch = -1;
  #first: Kept | undefined;
  #size = 0;

  /** They are for flows that begin at `settledMs` (milliseconds since the epoch) or later, since when nobody has come or gone. */
  constructor(readonly settledMs: number) {}

  get(key: number, epoch: number): Answer | undefined {
    if (epoch !== this.#epoch) return undefined;
    for (let kept = this.#first; kept; kept = kept.next) if (kept.key === key) return kept.answer;
    return undefined;
  }

  add(key: number, epoch: number, answer: Answer): void {
    if (epoch !== this.#epoch || this.#size >= CAPACITY) {
      this.#first = undefined;
      this.#size = 0;
    }
    this.#epoch = epoch;
    this.#first = { key, answer, next: this.#first };
    this.#size++;
  }
}

/** What is said of both together; `say` is asked the first time. */
export function joinedFacts(answer: Answer, other: Answer, say: () => Described | undefined): Described | undefined {
  let size = 0;
  for (let joined = answer.joined; joined; joined = joined.next, size++) {
    if (joined.found === other.found) return joined.facts;
  }
  const facts = say();
  answer.joined = { found: other.found, facts, next: size < CAPACITY ? answer.joined : undefined };
  return facts;
}
