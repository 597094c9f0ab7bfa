/** What the tests use of `@cdktf/hcl2json`; its own declarations bring Node's, which change Deno's. */
export declare function parse(fileName: string, source: string): Promise<unknown>;
