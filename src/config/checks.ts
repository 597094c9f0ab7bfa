/** Checks of texts that several components need. */

import { isIP } from "node:net";

/** An IPv4 or IPv6 address. */
export function checkAddress(value: string): string | undefined {
  return isIP(value) ? undefined : `not an IP address; write for example "0.0.0.0", "127.0.0.1" or "::"`;
}

/** An `http` or `https` URL that holds no secret. */
export function checkHttpUrl(value: string): string | undefined {
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    return `not an http or https URL; write for example "http://localhost:4317"`;
  }
  if (url.username !== "" || url.password !== "") {
    return "a user or password cannot stand in the URL; use auth { basic { … } }";
  }
  if (url.search !== "" || url.hash !== "") return "must end with the path: no ? and no #";
  return undefined;
}

/** An address, or a range of them in CIDR notation. */
export function checkCidr(value: string): string | undefined {
  const [address, bits, ...rest] = value.split("/");
  const longest = isIP(address) === 4 ? 32 : 128;
  const bitsFit = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= longest);
  if (isIP(address) && !address.includes("%") && bitsFit && rest.length === 0) return undefined;
  return `not an IP address or range; write for example "10.0.0.0/8" or "fd00::1"`;
}

/** A number up to `max`, or a range of them. */
export function checkRange(max: number): (value: string) => string | undefined {
  return (value) => {
    const [, first, last = first] = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(value) ?? [];
    if (first !== undefined && Number(first) <= Number(last) && Number(last) <= max) return undefined;
    return `not a number or range; write for example "${Math.min(443, max)}" or "1-${max}"`;
  };
}
