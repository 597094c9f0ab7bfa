/** Helpers for tests of servers. */

import { Log } from "../log.ts";
import type { ListenOptions } from "./http_server.ts";

/** Listens on a free port of the loopback address; `lines` receives what is logged. */
export function listenOptions(lines: string[] = []): ListenOptions {
  const log = new Log({ level: "trace", format: "json", write: (line) => lines.push(line), now: () => 0 });
  return { listenAddress: "127.0.0.1", port: 0, setting: "api", logger: log.logger("server") };
}
