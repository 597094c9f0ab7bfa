/** Bodies of answers, which an abort ends for sure. */

/**
 * What a body brings, until its end.
 *
 * The signal of a `fetch` is not enough: Deno 2.9 holds it weakly, and after a garbage collection an abort does not reach a
 * body that is being read.
 *
 * @throws the reason of `signal`
 */
export async function* chunksOf(body: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  // A body that has failed cannot be cancelled; the next read says why.
  const cancel = () => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", cancel);
  try {
    if (signal.aborted) cancel();
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}

/** The whole of a body. @throws the reason of `signal` */
export async function textOf(body: ReadableStream<Uint8Array> | null, signal: AbortSignal): Promise<string> {
  if (!body) return "";
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunksOf(body, signal)) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}
