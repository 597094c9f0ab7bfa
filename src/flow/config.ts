import { duration, group, integer, unused } from "../config/mod.ts";

const ONE_THREAD = "it has no effect: one thread does all of this work, and the kernel's table is its queue";

/** `span`: how long a flow lives, and when a record of it is made. */
export const spanSettings = group("When a flow ends, and when a record of it is made.", {
  max_record_interval: duration("60s", "Longest time that one record covers; a longer flow is cut into several."),
  generic_timeout: duration("30s", "Silence after which a flow ends that is none of the following."),
  icmp_timeout: duration("10s", "Silence after which an ICMP flow ends."),
  tcp_timeout: duration("20s", "Silence after which a TCP flow ends."),
  tcp_fin_timeout: duration(
    "5s",
    "Silence after which a TCP flow ends once each side that sent anything has sent its FIN.",
  ),
  tcp_rst_timeout: duration("5s", "Silence after which a TCP flow ends that has seen an RST."),
  udp_timeout: duration("60s", "Silence after which a UDP flow ends."),
  community_id_seed: integer(0, "Seed of the Community ID; all agents that are compared need the same.", {
    min: 0,
    max: 65535,
  }),
  trace_id_timeout: duration("24h", "Time for which the records of one five-tuple share a trace id.", { max: "8760h" }),
});

/** `pipeline { flow_producer }`: from the kernel's table to records. */
export const flowProducerSettings = group("How records are taken out of the kernel.", {
  flow_store_poll_interval: duration("5s", "Longest time between two looks at the kernel's table.", {
    min: "10ms",
    max: "1h",
  }),
  flow_span_queue_capacity: integer(16_384, "Records that wait between two steps.", { min: 1, max: 16_000_000 }),
  workers: unused(
    ONE_THREAD,
    integer(1, "Accepted so that existing files load; one thread does this work.", { min: 1, max: 1024 }),
  ),
  worker_queue_capacity: unused(
    ONE_THREAD,
    integer(2048, "Accepted so that existing files load; the kernel's table is the queue.", {
      min: 1,
      max: 16_000_000,
    }),
  ),
});
