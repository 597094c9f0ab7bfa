/** The two text formats that Prometheus reads. */

export const PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8";
export const OPENMETRICS_TEXT = "application/openmetrics-text; version=1.0.0; charset=utf-8";
export type MetricsContentType = typeof PROMETHEUS_TEXT | typeof OPENMETRICS_TEXT;

/** The format for an Accept header (RFC 9110, section 12.5.1): OpenMetrics if it is named, and no lower than plain text. */
export function negotiate(accept: string): MetricsContentType {
  let openMetrics = 0;
  let plain = 0;
  for (const item of accept.split(",")) {
    const [type, ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    const quality = parameters.find((parameter) => parameter.startsWith("q="));
    const rank = quality === undefined ? 1 : Number(quality.slice(2)) || 0;
    if (type === "application/openmetrics-text") openMetrics = Math.max(openMetrics, rank);
    if (type === "text/plain") plain = Math.max(plain, rank);
  }
  return openMetrics > 0 && openMetrics >= plain ? OPENMETRICS_TEXT : PROMETHEUS_TEXT;
}
