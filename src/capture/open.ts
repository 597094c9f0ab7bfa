/** Opening a session, and what to tell people about it. */

import type { Logger } from "../log.ts";
import { type CaptureSession, type Loader, LoaderError, type OpenOptions, type OpenReport } from "./loader.ts";

/**
 * Loads the programs, or takes over what an earlier agent left; says in the log what is worth knowing.
 *
 * Rejects with a `LoaderError` that says what to do.
 */
export async function openSession(
  loader: Loader,
  options: OpenOptions,
  logger: Logger,
): Promise<{ session: CaptureSession; report: OpenReport }> {
  try {
    const opened = await loader.open(options);
    logReport(opened.report, options.flowCapacity, logger);
    return opened;
  } catch (error) {
    if (!(error instanceof LoaderError)) throw error;
    throw new LoaderError(error.code, `Cannot start: ${error.message}${adviceFor(error)}`, error.verifierLog);
  }
}

function adviceFor({ code }: LoaderError): string {
  switch (code) {
    case "permission":
      return "; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
    case "locked":
      return "; stop it, or give this agent a name of its own with --instance";
    case "verifier":
      return "; CAP_PERFMON is needed for it; with that, please report this with the verifier's log";
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
  if (report.conntrackProblem) {
    logger.warn(
      "conntrack_unavailable",
      `${report.conntrackProblem}; the two sides of a translated connection (NAT) stay apart; it needs ctnetlink in the ` +
        "kernel, CAP_NET_ADMIN, and sysctl net.netfilter.nf_conntrack_events not 0",
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
  if (report.killed > 0) {
    logger.warn(
      "killed",
      "an earlier agent was killed; what it had made of flows and not delivered is lost, as far as it had not arrived",
      { spans: report.killed },
    );
  }
  for (const { path, problem } of report.foreign) {
    if (problem === "") {
      logger.info("foreign_layout", "takes over the flows of an agent of another version", { table: path });
    } else {
      logger.warn(
        "foreign_layout_dropped",
        `drops the flows that an agent of another version left: ${problem}`,
        { table: path },
      );
    }
  }
}
