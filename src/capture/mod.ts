export * from "./loader.ts";
export { FlowRecords } from "./decode.ts";
export { EndReasonCode, LOST_REASONS, UNPARSED_REASONS } from "./layout.gen.ts";
