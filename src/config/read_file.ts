/**
 * The text of a configuration file.
 *
 * @throws {Error} that says why in a few words, without the path
 */
export function readConfigFile(path: string): string {
  try {
    // It is read once for the permissions and once to run: a pipe would be empty then.
    if (isDevice(path) || !Deno.statSync(path).isFile) {
      throw new Error("it must be a regular file, because it is read twice");
    }
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new Error(reason(error, path), { cause: error });
  }
}

/** Deno lets nobody look at these without all permissions. */
function isDevice(path: string): boolean {
  return /^\/(dev|proc)\//.test(path);
}

function reason(error: unknown, path: string): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "this user may not read it";
  if (error instanceof Deno.errors.NotCapable && path.includes(",")) {
    return "Deno's permissions cannot name a path with a comma; rename it";
  }
  // The system's message has the path once more.
  return error instanceof Error ? error.message.replace(/: \w+ '.*'$/s, "") : String(error);
}
