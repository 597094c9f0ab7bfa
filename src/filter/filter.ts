/** Which flows become spans: the settings compiled into one test. */

import { dscpName, ecnName } from "../flow/names.ts";
import type { FlowRecordView } from "../flow/record.ts";
import type { FlowSpan } from "../flow/span.ts";
import { tcpFlagTags } from "../flow/tcp_flags.ts";
import { isInRange, parseAddressRange } from "./address_range.ts";
import type { FilterConfig, Rule } from "./config.ts";
import {
  DSCPS,
  ECNS,
  globExpression,
  ICMP_CODES,
  ICMP_TYPES,
  isGlob,
  namesOf,
  NETWORK_TYPES,
  STATES,
  TCP_FLAGS,
  TRANSPORTS,
  type Vocabulary,
} from "./vocabulary.ts";

/** Whether a flow becomes a span; `span` is described, its ids may be missing, and `record` is where it comes from. */
export type FlowFilter = (span: FlowSpan, record: FlowRecordView) => boolean;

/** The filter without a rule. */
export const KEEP_ALL: FlowFilter = () => true;

/** A rule and how one of its lists becomes a test, or nothing when no rule is set. */
type Compiled = FlowFilter | undefined;

/** Names of interfaces come and go; so many are kept with their verdict. */
const MAX_KEPT_NAMES = 1024;

/**
 * The filter that `config` asks for. All rules must agree.
 *
 * A rule is about the attribute of its name and never about the one of the way back. It keeps a flow when one of `match`
 * fits, or that list is empty, and none of `not_match` does. Nothing fits an attribute that the flow does not have, or
 * that has no value in this window: so `match` drops it and `not_match` keeps it. Of several TCP flags one is enough.
 */
export function compileFilter({ source, destination, network, flow }: FilterConfig): FlowFilter {
  // What costs least stands first.
  const tests: FlowFilter[] = [
    byNumber(source.port, (span) => span.sourcePort),
    byNumber(destination.port, (span) => span.destinationPort),
    byNumber(network.interfaceIndex, (span) => span.interfaceIndex),
    byNumber(flow.ipTtl, (span) => span.ttl),
    byNumber(flow.ipFlowLabel, (span) => span.flowLabel),
    byName(network.type, NETWORK_TYPES, (span) => span.networkType),
    byName(network.transport, TRANSPORTS, (span) => span.transport),
    byName(flow.connectionState, STATES, (span) => span.connectionState),
    byName(flow.ipDscpName, DSCPS, (span) => dscpName(span.dscp)),
    byName(flow.ipEcnName, ECNS, (span) => ecnName(span.ecn)),
    byName(flow.icmpTypeName, ICMP_TYPES, (span) => span.icmpTypeName),
    byName(flow.icmpCodeName, ICMP_CODES, (span) => span.icmpCodeName),
    byFlags(flow.tcpFlagsTags),
    byAddress(source.address, (span) => span.sourceSide === 0),
    byAddress(destination.address, (span) => span.sourceSide === 1),
    byText(network.interfaceName, (span) => span.interfaceName),
    byText(network.interfaceMac, (span) => span.interfaceMac),
  ].filter((test) => test !== undefined);
  if (tests.length === 0) return KEEP_ALL;
  return (span, record) => {
    for (const test of tests) if (!test(span, record)) return false;
    return true;
  };
}

function rule({ match, notMatch }: Rule, fits: (patterns: readonly string[]) => FlowFilter): Compiled {
  const isMatched = match.length > 0 ? fits(match) : undefined;
  const isExcluded = notMatch.length > 0 ? fits(notMatch) : undefined;
  if (isExcluded === undefined) return isMatched;
  if (isMatched === undefined) return (span, record) => !isExcluded(span, record);
  return (span, record) => isMatched(span, record) && !isExcluded(span, record);
}

/** `ABSENT` is below every range. */
function byNumber(setting: Rule, read: (span: FlowSpan) => number): Compiled {
  return rule(setting, (patterns) => {
    const ranges = patterns.map((pattern) => {
      const [first, last = first] = pattern.split("-").map(Number);
      return { first, last };
    });
    return (span) => {
      const value = read(span);
      for (const { first, last } of ranges) if (value >= first && value <= last) return true;
      return false;
    };
  });
}

/** `""` is in no vocabulary. */
function byName(setting: Rule, vocabulary: Vocabulary, read: (span: FlowSpan) => string): Compiled {
  return rule(setting, (patterns) => {
    const names = new Set(patterns.flatMap((pattern) => namesOf(pattern, vocabulary)));
    return (span) => names.has(read(span));
  });
}

function byFlags(setting: Rule): Compiled {
  return rule(setting, (patterns) => {
    const names = new Set(patterns.flatMap((pattern) => namesOf(pattern, TCP_FLAGS)));
    return (span) => tcpFlagTags(span.tcpFlags).some((name) => names.has(name));
  });
}

/** @param isA whether the address is that of end A. */
function byAddress(setting: Rule, isA: (span: FlowSpan) => boolean): Compiled {
  return rule(setting, (patterns) => {
    const ranges = patterns.map(parseAddressRange);
    return (span, { bytes, addressAOffset, addressBOffset, addressBytes }) => {
      const offset = isA(span) ? addressAOffset : addressBOffset;
      for (const range of ranges) if (isInRange(range, bytes, offset, addressBytes)) return true;
      return false;
    };
  });
}

/** Texts from outside, in any case. */
function byText(setting: Rule, read: (span: FlowSpan) => string): Compiled {
  return rule(setting, (patterns) => {
    const literals = new Set(patterns.filter((pattern) => !isGlob(pattern)).map((pattern) => pattern.toLowerCase()));
    const globs = patterns.filter(isGlob).map(globExpression);
    const fits = (text: string) =>
      text !== "" && (literals.has(text.toLowerCase()) || globs.some((glob) => glob.test(text)));
    return kept(fits, read);
  });
}

/** Asks once for each text. */
function kept(fits: (text: string) => boolean, read: (span: FlowSpan) => string): FlowFilter {
  const verdicts = new Map<string, boolean>();
  return (span) => {
    const text = read(span);
    let verdict = verdicts.get(text);
    if (verdict === undefined) {
      if (verdicts.size >= MAX_KEPT_NAMES) verdicts.clear();
      verdicts.set(text, verdict = fits(text));
    }
    return verdict;
  };
}
