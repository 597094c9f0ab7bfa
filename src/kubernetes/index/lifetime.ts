/**
 * From when to when an object had its addresses, as well as it can be told. Times are milliseconds since the epoch.
 *
 * Pods are stamped by the clock of their node and of the API server, flows by that of the agent's node. As long as these
 * differ by less than `CLOCK_MS`, a pod may have had its address at the time of each of its packets, and surely had it only at
 * times at which no packet of another has come from there.
 */

import { childOf, type Json, type KubernetesObject } from "../model/object.ts";

/** The API has whole seconds, cut off. */
const SECOND_MS = 1000;
/** Clocks that are synchronized at all differ by less. */
const CLOCK_MS = 1000;
const ENDED = new Set(["Succeeded", "Failed"]);

export interface End {
  /** It had its addresses at least until then. */
  readonly sureMs: number;
  /** It had them no more from then on. */
  readonly goneMs: number;
  /** Nobody saw it go: between the two, others may have come with its addresses, and be gone too. */
  readonly isUnseen?: boolean;
  /** It was only asked to go: what its end is will be told later. */
  readonly isAsked?: boolean;
}

/** No packet of the pod is older: when its node took it up, before it had an address; else when it was made. */
export function podStartMs(pod: KubernetesObject): number {
  const startMs = timeOf(childOf(pod.status, "startTime")) ?? timeOf(pod.metadata.creationTimestamp);
  return startMs === undefined ? 0 : startMs - CLOCK_MS;
}

/**
 * The end of a pod that is seen, at `seenMs`, to have ended, by what its containers say. Of one that is asked to go it is not
 * known: its node gives its address to another before it tells that the pod has ended. `undefined` of others.
 */
export function podEnd(pod: KubernetesObject, seenMs: number): End | undefined {
  if (ENDED.has(String(childOf(pod.status, "phase")))) {
    const finished = finishedMs(pod);
    return finished === undefined ? { sureMs: -Infinity, goneMs: seenMs } : endAt(finished);
  }
  const asked = askedMs(pod);
  return asked === undefined ? undefined : { sureMs: asked - CLOCK_MS, goneMs: Infinity, isAsked: true };
}

/** The node on which a pod is to get an address, or has got one that is not known yet; `""` of others. */
export function waitsOn({ spec, status }: KubernetesObject): string {
  const node = childOf(spec, "nodeName");
  const isWaiting = childOf(status, "podIP") === undefined && !ENDED.has(String(childOf(status, "phase")));
  return typeof node === "string" && isWaiting && childOf(spec, "hostNetwork") !== true ? node : "";
}

/** The end of a pod that was deleted, seen to go at `seenMs`; perhaps killed without a word since its deletion was asked. */
export function deletedPodEnd(last: KubernetesObject, seenMs: number): End {
  const finished = finishedMs(last);
  if (finished !== undefined) {
    const { sureMs, goneMs } = endAt(finished);
    return { sureMs: Math.min(sureMs, seenMs), goneMs: Math.min(goneMs, seenMs) };
  }
  return { sureMs: Math.min((askedMs(last) ?? seenMs) - CLOCK_MS, seenMs), goneMs: seenMs };
}

/** When the pod was asked to go: its time to do so comes on top of that in the object. */
function askedMs({ metadata }: KubernetesObject): number | undefined {
  const graceMs = Number(childOf(metadata as unknown as Json, "deletionGracePeriodSeconds") ?? 0) * SECOND_MS;
  const untilMs = timeOf(metadata.deletionTimestamp);
  return untilMs === undefined ? undefined : untilMs - graceMs;
}

function endAt(finishedMs: number): End {
  return { sureMs: finishedMs - CLOCK_MS, goneMs: finishedMs + SECOND_MS + CLOCK_MS };
}

/** When the last container ended; `undefined` when one may run, or none is known. */
function finishedMs(pod: KubernetesObject): number | undefined {
  const statuses = childOf(pod.status, "containerStatuses");
  if (!Array.isArray(statuses) || statuses.length === 0) return undefined;
  let last = 0;
  for (const status of statuses) {
    const time = timeOf(childOf(childOf(childOf(status, "state"), "terminated"), "finishedAt"));
    if (time === undefined) return undefined;
    last = Math.max(last, time);
  }
  return last;
}

function timeOf(value: Json | undefined): number | undefined {
  const time = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(time) ? undefined : time;
}
