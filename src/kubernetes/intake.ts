import type { Histogram } from "../metrics/histogram.ts";
import type { KubernetesObject } from "./model/object.ts";
import type { ReflectorSink } from "./api/reflector.ts";
import type { Selection } from "./model/selection.ts";
import type { Store } from "./index/store.ts";

export interface IntakeOptions extends Pick<Selection, "kind" | "wants"> {
  readonly store: Store;
  /** Takes how long each change of an object took, in seconds. */
  readonly seconds: Histogram;
  /** Told of an object of an impossible shape, which is left out. */
  readonly onUnreadable: (object: KubernetesObject, error: Error) => void;
}

/** Takes what is learned of a kind into the store: one object that cannot be read does not keep the others out. */
export function intakeOf({ kind, wants, store, seconds, onUnreadable }: IntakeOptions): ReflectorSink {
  const put = (object: KubernetesObject) => {
    const { uid } = object.metadata;
    try {
      if (wants(object)) return store.put(kind, object);
    } catch (error) {
      onUnreadable(object, error as Error);
    }
    // What was known of it is not true any more.
    store.remove(uid, undefined, Date.now());
  };
  return {
    put: (object) => {
      const startMs = performance.now();
      put(object);
      seconds.observe((performance.now() - startMs) / 1000);
    },
    remove: (uid, last, sureMs) => store.remove(uid, last, sureMs),
  };
}
