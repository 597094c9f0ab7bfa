/** Prints `docs/attributes.md`: the attributes of spans and resource, from the tables that the program itself reads. */

import { SPAN_ATTRIBUTES } from "../src/export/attributes.ts";
import { CONNECTION_STATES } from "../src/flow/connection_state.ts";
import { RESOURCE_ATTRIBUTES } from "../src/resource.ts";

const code = (text: string) => `\`${text}\``;
const rows = (lines: readonly (readonly string[])[]) => lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");

console.log(`# Attributes

Made by \`deno task generate\` from \`src/export/attributes.ts\` and \`src/resource.ts\`.

## Span

One span is one flow record: what one conversation, both directions, did in one window. Its name is
\`flow_<network.type>_<network.transport>\`; it starts and ends with the first and last packet of the window.

**Ends.** Who began the flow is judged by evidence, strongest first: a SYN, then a SYN-ACK; the host's connection tracking, for a
translated connection; who listens on this host; ICMP
request or reply; a port below 1024 against one from 32768 on; else it is not known. The source is the end on this host
when exactly one is, else the end that began, else the sender of the first packet. The span is CLIENT (\`forward\`) when the
source began, SERVER (\`reverse\`) when the other end did, INTERNAL (\`unknown\`) when that is not known. What a flow's first
span says holds for all its spans. \`flow.*\` runs from source to destination, \`flow.reverse.*\` back.

**Absent.** An attribute that is not known is left out: it is never empty and never guessed.

**State.** \`flow.connection.state\` is one of ${
  CONNECTION_STATES.map(code).join(", ")
}: the state that the source has after
all packets seen so far (table in \`src/flow/connection_state.ts\`).

**Times of TCP.** An answer is the first payload of the responder after a payload of the initiator. The time between them is
\`flow.tcp.svc.*\` where the responder is on this host and \`flow.tcp.rndtrip.*\` where the initiator is: both when both are.

**Names** are IANA's: DSCP in lower case (\`cs0\`, which others call default or best effort, \`af11\`, \`ef\`, \`voice-admit\`), ICMP
types and codes in snake_case. Type 8 of ICMPv4 is \`echo\`, type 128 of ICMPv6 \`echo_request\`.

| attribute | type | when | what |
| --- | --- | --- | --- |
${rows(SPAN_ATTRIBUTES.map(({ name, type, when, about }) => [code(name), type, when, about]))}

## Ends in a cluster

\`source.k8s.*\`, \`source.container.*\` and the same of the destination depend on what the configuration asks for:
[kubernetes.md](kubernetes.md#what-flows-get).

## Resource

Whatever \`OTEL_RESOURCE_ATTRIBUTES\` names comes instead of, or beside, what is found out; \`OTEL_SERVICE_NAME\` wins over both.

| attribute | type | what |
| --- | --- | --- |
${rows(RESOURCE_ATTRIBUTES.map(({ name, type, about }) => [code(name), type, about]))}

The scope is \`mermin\` with the version of the agent.`);
