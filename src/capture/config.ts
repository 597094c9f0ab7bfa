import { choice, group, integer, later, port } from "../config/mod.ts";

const TUNNELS = "looking into tunnels";

/** `parser`: what the kernel programs look for in a packet. */
export const parserSettings = group("How packets are read.", {
  vxlan_port: later(TUNNELS, port(4789, "UDP port of VXLAN.")),
  geneve_port: later(TUNNELS, port(6081, "UDP port of Geneve.")),
  wireguard_port: later(TUNNELS, port(51820, "UDP port of WireGuard.")),
  key_scope: choice(
    ["none", "vni"],
    "none",
    "Whether flows with equal addresses in different virtual networks are told apart, by their VLAN id.",
  ),
});

/** `pipeline { flow_capture }`: sizes of the kernel's tables. */
export const flowCaptureSettings = group("The tables in the kernel.", {
  flow_stats_capacity: integer(100_000, "Flows that the kernel can follow at once.", { min: 16, max: 16_000_000 }),
  flow_events_capacity: integer(1024, "Events that the kernel can hold until they are read.", {
    min: 16,
    max: 1_048_576,
  }),
});
