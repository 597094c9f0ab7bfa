/** Says of each span which objects of the cluster are at its two ends, and which policies let it pass. */

import type { FlowSpan } from "../../flow/span.ts";
import type { Histogram } from "../../metrics/histogram.ts";
import type { AddressIndex } from "../index/address_index.ts";
import { addressKey } from "../model/address_key.ts";
import { type Answer, joinedFacts } from "../index/answers.ts";
import type { Describer } from "./describe.ts";
import type { EndQuery } from "../index/entry.ts";
import type { Policies, PolicyEnd } from "../policies/policies.ts";
import { type Described, type Direction, SIDES } from "../model/stored.ts";

export interface DecoratorOptions {
  readonly index: AddressIndex;
  readonly describers: Readonly<Record<Direction, Describer>>;
  readonly policies: Policies;
  /** Takes how long a span took, in seconds, of one span in {@linkcode TIMED}. */
  readonly seconds: Histogram;
  /** Told of a span that is left as it was because of a fault of this program. */
  readonly onError: (error: unknown) => void;
}

/** Every span is one of these. */
export interface DecoratorStats {
  /** Spans of which at least one end was found. */
  ok: number;
  undecorated: number;
  error: number;
}

/** One span in so many is timed: two looks at the clock cost half as much as the answer. */
export const TIMED = 64;
const NS_PER_MS = 1e6;
const NO_POLICIES: readonly string[] = [];

/**
 * Looks ends up as they were when the flow's window began: at the address that the flow shows, and at the one that the end
 * has on the other side of a translation. So a service at its own address is named with the pod behind it.
 */
export class Decorator {
  readonly stats: DecoratorStats = { ok: 0, undecorated: 0, error: 0 };
  readonly #options: DecoratorOptions;
  readonly #query: EndQuery = {
    address: "",
    key: "",
    side: 0,
    port: -1,
    peerPort: -1,
    transport: "",
    networkType: "",
    startMs: 0,
    endMs: 0,
  };
  readonly #source: PolicyEnd = { address: "", port: -1, pod: undefined };
  readonly #destination: PolicyEnd = { address: "", port: -1, pod: undefined };
  #untilTimed = 1;

  constructor(options: DecoratorOptions) {
    this.#options = options;
  }

  decorate(span: FlowSpan): void {
    if (--this.#untilTimed > 0) return this.#try(span);
    this.#untilTimed = TIMED;
    const startMs = performance.now();
    this.#try(span);
    this.#options.seconds.observe((performance.now() - startMs) / 1000);
  }

  #try(span: FlowSpan): void {
    try {
      this.#decorate(span);
      if (span.sourceFacts || span.destinationFacts) this.stats.ok++;
      else this.stats.undecorated++;
    } catch (error) {
      span.sourceFacts = span.destinationFacts = undefined;
      span.ingressPolicies = span.egressPolicies = NO_POLICIES;
      this.stats.error++;
      this.#options.onError(error);
    }
  }

  #decorate(span: FlowSpan): void {
    const { describers } = this.#options;
    const query = this.#query;
    query.transport = span.transport;
    query.networkType = span.networkType;
    query.startMs = (span.startNs.hi * 2 ** 32 + span.startNs.lo) / NS_PER_MS;
    query.endMs = (span.endNs.hi * 2 ** 32 + span.endNs.lo) / NS_PER_MS;
    query.address = span.sourceAddress;
    query.key = addressKey(span.sourceAddress);
    query.port = span.sourcePort;
    query.peerPort = span.destinationPort;
    query.side = SIDES.source;
    span.sourceFacts = this.#look(describers.source, this.#source, otherSource(span));
    query.address = span.destinationAddress;
    query.key = addressKey(span.destinationAddress);
    query.port = span.destinationPort;
    query.peerPort = span.sourcePort;
    query.side = SIDES.destination;
    span.destinationFacts = this.#look(describers.destination, this.#destination, otherDestination(span));
    this.#judge(span, query.startMs);
  }

  /** Policies are about who calls whom; a flow of which that is not known has none. */
  #judge(span: FlowSpan, startMs: number): void {
    const { policies } = this.#options;
    span.ingressPolicies = span.egressPolicies = NO_POLICIES;
    if (span.direction === "unknown" || policies.isEmpty) return;
    const [caller, called] = span.direction === "forward"
      ? [this.#source, this.#destination]
      : [this.#destination, this.#source];
    span.egressPolicies = policies.allowing("egress", caller, called, span.transport, startMs);
    span.ingressPolicies = policies.allowing("ingress", called, caller, span.transport, startMs);
  }

  #look(describer: Describer, end: PolicyEnd, other: OtherName | undefined): Described | undefined {
    const query = this.#query;
    end.address = query.address;
    end.port = query.port;
    const here = this.#answer(describer);
    const facts = other ? this.#join(describer, end, here, other) : here.facts;
    end.pod = facts?.pod;
    return facts;
  }

  /** What is said of an end that has another name on the other side of a translation. */
  #join(describer: Describer, end: PolicyEnd, here: Answer, other: OtherName): Described | undefined {
    const { index } = this.#options;
    const query = this.#query;
    const key = index.keyOf(query);
    query.address = other.address;
    query.port = other.port;
    query.peerPort = other.peerPort;
    // Nobody else is found under a name that means the same.
    if (end.address === query.address && index.keyOf(query) === key) return here.facts;
    query.key = addressKey(other.address);
    const there = this.#answer(describer);
    // A container may have declared the port of its pod, and the pod's policies speak of that and of its address.
    if (there.facts?.pod && !here.facts?.pod) {
      end.address = other.address;
      end.port = other.port;
    }
    return joinedFacts(there, here, () => {
      const more = there.found.filter(({ kind }) => !here.found.some((one) => one.kind === kind));
      return describer.describe([...here.found, ...more], end.port, query.transport);
    });
  }

  #answer(describer: Describer): Answer {
    const { index } = this.#options;
    const query = this.#query;
    const { epoch } = describer;
    const answers = index.answersFor(query);
    const key = index.keyOf(query);
    const known = answers?.get(key, epoch);
    if (known) return known;
    const found = index.find(query);
    const answer = { found, facts: describer.describe(found, query.port, query.transport), joined: undefined };
    answers?.add(key, epoch, answer);
    return answer;
  }
}

/** What an end, and the port of its peer, are called on the other side of a translation. */
type OtherName = Pick<EndQuery, "address" | "port" | "peerPort">;

function otherSource(span: FlowSpan): OtherName | undefined {
  if (!isTranslated(span)) return undefined;
  return {
    address: span.sourceNatAddress || span.sourceAddress,
    port: span.sourceNatAddress ? span.sourceNatPort : span.sourcePort,
    peerPort: span.destinationNatAddress ? span.destinationNatPort : span.destinationPort,
  };
}

function otherDestination(span: FlowSpan): OtherName | undefined {
  if (!isTranslated(span)) return undefined;
  return {
    address: span.destinationNatAddress || span.destinationAddress,
    port: span.destinationNatAddress ? span.destinationNatPort : span.destinationPort,
    peerPort: span.sourceNatAddress ? span.sourceNatPort : span.sourcePort,
  };
}

function isTranslated({ sourceNatAddress, destinationNatAddress }: FlowSpan): boolean {
  return sourceNatAddress !== "" || destinationNatAddress !== "";
}
