/** How the objects of a flow are found when the file has no `attributes` block for a direction. */

/** A field of the flow, without its direction, and the fields of the object that it is compared with. */
type Row = readonly [
  field: "ip" | "port" | "destination.port" | "network.transport" | "network.type",
  to: readonly string[],
];

const ASSOCIATIONS = {
  pod: [
    ["ip", ["status.podIP", "status.podIPs[*]", "status.hostIP", "status.hostIPs[*]"]],
    ["port", [...ofContainers("containerPort"), ...ofContainers("hostPort")]],
    ["network.transport", ofContainers("protocol")],
  ],
  node: [["ip", ["status.addresses[*].address"]]],
  service: [
    ["ip", [
      "spec.clusterIP",
      "spec.clusterIPs[*]",
      "spec.externalIPs[*]",
      "spec.loadBalancerIP",
      "status.loadBalancer.ingress[*].ip",
    ]],
    ["port", ["spec.ports[*].port"]],
    ["network.transport", ["spec.ports[*].protocol"]],
    ["network.type", ["spec.ipFamilies[*]"]],
  ],
  endpoint: [
    ["ip", ["subsets[*].addresses[*].ip", "subsets[*].notReadyAddresses[*].ip"]],
    ["port", ["subsets[*].ports[*].port"]],
    ["network.transport", ["subsets[*].ports[*].protocol"]],
  ],
  endpointslice: [
    ["ip", ["endpoints[*].addresses[*]"]],
    ["port", ["ports[*].port"]],
    ["network.transport", ["ports[*].protocol"]],
  ],
  ingress: [
    ["ip", ["status.loadBalancer.ingress[*].ip"]],
    ["port", ["status.loadBalancer.ingress[*].ports[*].port"]],
    ["network.transport", ["status.loadBalancer.ingress[*].ports[*].protocol"]],
  ],
  gateway: [
    ["ip", ["spec.addresses[*].value", "status.addresses[*].value"]],
    ["port", ["spec.listeners[*].port"]],
    ["network.transport", ["spec.listeners[*].protocol"]],
  ],
} as const satisfies Record<string, readonly Row[]>;

/** Whom a policy lets in, or lets be called; its ports are always those of who is called. */
function policyRows(rules: "spec.ingress[*]" | "spec.egress[*]", peers: "from[*]" | "to[*]"): Row[] {
  return [
    ["ip", [`${rules}.${peers}.ipBlock.cidr`]],
    ["destination.port", [`${rules}.ports[*].port`]],
    ["network.transport", [`${rules}.ports[*].protocol`]],
  ];
}

function ofContainers(field: string): string[] {
  return ["containers", "initContainers"].map((list) => `spec.${list}[*].ports[*].${field}`);
}

/** Name, namespace and uid of objects of all kinds. */
export const DEFAULT_METADATA = ["[*].metadata.name", "[*].metadata.namespace", "[*].metadata.uid"];

/** What the settings of a direction are when the file has none. */
export function defaultAttributes(direction: "source" | "destination") {
  const sourcesOf = (rows: readonly Row[]) => ({
    sources: rows.map(([field, to]) => ({
      from: field.includes(".") ? field : `${direction}.${field}`,
      name: "",
      to: [...to],
    })),
  });
  return {
    extract: { metadata: DEFAULT_METADATA, label: [], annotation: [] },
    association: {
      pod: sourcesOf(ASSOCIATIONS.pod),
      node: sourcesOf(ASSOCIATIONS.node),
      service: sourcesOf(ASSOCIATIONS.service),
      endpoint: sourcesOf(ASSOCIATIONS.endpoint),
      endpointslice: sourcesOf(ASSOCIATIONS.endpointslice),
      ingress: sourcesOf(ASSOCIATIONS.ingress),
      gateway: sourcesOf(ASSOCIATIONS.gateway),
      networkpolicy: sourcesOf(
        direction === "source" ? policyRows("spec.ingress[*]", "from[*]") : policyRows("spec.egress[*]", "to[*]"),
      ),
    },
  };
}
