import type { Places } from "../model/address_key.ts";
import type { Json, KubernetesObject } from "../model/object.ts";
import type { Pool } from "./pool.ts";
import type { Said, Stored } from "../model/stored.ts";

/** What all pods of a workload have in common, on whatever nodes: a pod without name, uid, node and status. */
type Workload = Omit<KubernetesObject, "metadata" | "status"> & {
  readonly metadata: Omit<KubernetesObject["metadata"], "name" | "uid">;
};

/** What all pods of a node have in common. */
interface Place {
  readonly nodeName?: Json;
  readonly status?: Json;
}

/** A pod as one of thousands: of its own it has little more than its name, and is put together when somebody asks. */
export class StoredPod implements Stored {
  places: Places = undefined;
  said: Said | undefined = undefined;
  #name = "";
  #workload: Workload = { metadata: {} };
  #place: Place = {};
  #goneMs: number | undefined = undefined;
  #object: KubernetesObject | undefined = undefined;

  constructor(readonly uid: string) {}

  get kind(): "Pod" {
    return "Pod";
  }

  get goneMs(): number {
    return this.#goneMs ?? Infinity;
  }

  set goneMs(goneMs: number) {
    this.#goneMs = goneMs === Infinity ? undefined : goneMs;
  }

  get labels(): KubernetesObject["metadata"]["labels"] {
    return this.#workload.metadata.labels;
  }

  get object(): KubernetesObject {
    return this.#object ??= join(this.#name, this.uid, this.#workload, this.#place);
  }

  /** Takes the pod as it is now; returns whether that is another than before. */
  take(pod: KubernetesObject, pool: Pool): boolean {
    const { metadata: { name, uid: _, ...metadata }, spec, status, ...rest } = pod;
    const { labels, ownerReferences } = metadata;
    const { nodeName, ...own } = spec ?? {};
    const workload = pool.one<Workload>({
      ...rest,
      metadata: {
        ...metadata,
        ...(labels ? { labels: pool.one(labels) } : {}),
        ...(ownerReferences ? { ownerReferences: pool.one(ownerReferences) } : {}),
      },
      ...(spec ? { spec: pool.one(own) } : {}),
    });
    const place = pool.one<Place>({ nodeName, status });
    if (name === this.#name && workload === this.#workload && place === this.#place) return false;
    this.#name = name;
    this.#workload = workload;
    this.#place = place;
    this.#object = undefined;
    return true;
  }
}

function join(name: string, uid: string, { metadata, spec, ...rest }: Workload, { nodeName, status }: Place) {
  return {
    ...rest,
    metadata: { ...metadata, name, uid },
    ...(spec ? { spec: nodeName === undefined ? spec : { ...spec, nodeName } } : {}),
    ...(status ? { status } : {}),
  } as KubernetesObject;
}
