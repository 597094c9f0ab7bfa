/** Opening a session, and what to tell people about it. */

import type { Logger } from "../log.ts";
import { type CaptureSession, type Loader, LoaderError, type OpenOptions, type OpenReport } from "./loader.ts";

/**
 * Loads the programs, or takes over what an earlier agent left; says in the log what is worth knowing.
 *
 * @throws {LoaderError} that says what to do
 */
export function openSession(
  loader: Loader,
  options: OpenOptions,
  logger: Logger,
): { session: CaptureSession; report: OpenReport } {
  try {
    const opened = loader.open(options);
    logReport(opened.report, options.flowCapacity, logger);
    return opened;
  } catch (error) {
    if (!(error instanceof LoaderError)) throw error;
    throw new LoaderError(error.code, `Cannot start: ${error.message}${adviceFor(error)}`, error.verifierLog);
  }
}

/** The file of the network namespace that `network_namespace` means; `""` is the process's own. */
export function namespacePath(setting: string): string {
  switch (setting) {
    case "auto":
    case "self":
      return "";
    case "host":
      return "/proc/1/ns/net";
    default:
      return setting;
  }
}

function adviceFor({ code }: LoaderError): string {
  switch (code) {
    case "permission":
      return "; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
    case "locked":
      return "; stop it, or give this agent a name of its own with --instance";
    case "verifier":
      return "; please report this with the verifier's log";
    default:
      return "";
  }
}

function logReport(report: OpenReport, wantedCapacity: number, logger: Logger): void {
  if (report.pinProblem) {
    logger.warn(
      "not_pinned",
      `${report.pinProblem}; flows are lost at a restart; mount it with: mount -t bpf bpf /sys/fs/bpf`,
    );
  }
  if (report.capacity !== wantedCapacity) {
    logger.warn(
      "capacity_kept",
      `the table that was taken over has ${report.capacity} entries; for another size stop the agent and run: mermin cleanup`,
    );
  }
  if (report.takenOver > 0) {
    logger.info("taken_over", "took over the flows of an earlier agent", { flows: report.takenOver });
  }
  if (report.foreignLayouts.length > 0) {
    logger.warn("foreign_layout", "flows that an agent of another version left in its table are dropped", {
      tables: report.foreignLayouts.join(" "),
    });
  }
}
