/** Spans on their way: encoded into the open batch, waiting as closed batches, or taken for sending. */

import { ProtobufWriter } from "./protobuf.ts";

/** Encodes items into one request. */
export interface RequestFormat<Item> {
  begin(writer: ProtobufWriter): void;
  add(writer: ProtobufWriter, item: Item): void;
  finish(writer: ProtobufWriter): Uint8Array<ArrayBuffer>;
}

/** Encoded spans that are sent together; older batches have a smaller `sequence`. */
export interface Batch {
  readonly sequence: number;
  spans: number;
  /** The buffer that it was encoded into, until its request stands on its own. */
  writer?: ProtobufWriter;
  /** Its request, once it is made: in the buffer, or on its own. */
  request?: Uint8Array<ArrayBuffer>;
  /** When its first request began, by the sender's clock. */
  firstSentMs?: number;
}

type OpenBatch = Batch & { writer: ProtobufWriter };

export interface QueueLimits {
  readonly maxBatchSize: number;
  /** Spans that may be open, waiting or taken together. */
  readonly maxQueueSize: number;
  /** Buffers of finished batches that are kept for new ones. */
  readonly maxSpareBuffers: number;
}

/** Makes a request smaller. */
export type Compress = (request: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;

/** A new buffer has room for the whole batch, or for its beginning when that is large. */
const SPAN_BYTES = 1024;
const MAX_FIRST_BUFFER_BYTES = 65_536;
/** A gRPC server takes messages of 4 MiB unless told otherwise; a batch of large spans ends before that. */
const MAX_BATCH_BYTES = 3_670_016;

/** A bounded queue that drops whole batches, the oldest first. Knows no time. */
export class BatchQueue<Item> {
  readonly #format: RequestFormat<Item>;
  readonly #limits: QueueLimits;
  readonly #compress: Compress | undefined;
  readonly #waiting: Batch[] = [];
  readonly #taken = new Set<Batch>();
  readonly #spareWriters: ProtobufWriter[] = [];
  #open: OpenBatch | undefined;
  #spans = 0;
  #nextSequence = 0;

  constructor(format: RequestFormat<Item>, limits: QueueLimits, compress?: Compress) {
    this.#format = format;
    this.#limits = limits;
    this.#compress = compress;
  }

  /** Spans held: open, waiting and taken. */
  get spans(): number {
    return this.#spans;
  }

  get openSpans(): number {
    return this.#open?.spans ?? 0;
  }

  get waitingBatches(): number {
    return this.#waiting.length;
  }

  /** Bytes of the buffers that hold spans. */
  get heldBytes(): number {
    let bytes = this.#open === undefined ? 0 : bytesOf(this.#open);
    for (const batch of this.#waiting) bytes += bytesOf(batch);
    for (const batch of this.#taken) bytes += bytesOf(batch);
    return bytes;
  }

  /** The sequence that the next batch will have. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Encodes `item` into the open batch and closes that when it is full. Returns the spans dropped to make room. */
  push(item: Item): number {
    let dropped = 0;
    while (this.#spans >= this.#limits.maxQueueSize) {
      const oldest = this.#waiting.shift() ?? this.#removeOpen();
      // All that is left is being sent: there is nothing older to drop than the item itself.
      if (oldest === undefined) return dropped + 1;
      dropped += oldest.spans;
      this.#release(oldest);
    }
    const batch = this.#open ??= this.#newBatch();
    this.#format.add(batch.writer, item);
    batch.spans++;
    this.#spans++;
    if (batch.spans >= this.#limits.maxBatchSize || batch.writer.length >= MAX_BATCH_BYTES) this.closeOpen();
    return dropped;
  }

  /** Moves the open batch, if any, to the end of the waiting ones. */
  closeOpen(): void {
    const open = this.#removeOpen();
    if (open === undefined) return;
    // Many that wait take a tenth of the room when they are compressed already.
    if (this.#compress && this.#waiting.length > 0) this.#makeRequest(open);
    this.#waiting.push(open);
  }

  /** The oldest waiting batch, which is the caller's until `putBack()` or `settle()`. */
  take(): Batch | undefined {
    const batch = this.#waiting.shift();
    if (batch !== undefined) this.#taken.add(batch);
    return batch;
  }

  /** The request of a taken batch: the same bytes whenever it is tried. */
  request(batch: Batch): Uint8Array<ArrayBuffer> {
    return batch.request ?? this.#makeRequest(batch);
  }

  /** Returns a taken batch to its place at the head: before all that is younger. */
  putBack(batch: Batch): void {
    this.#taken.delete(batch);
    const younger = this.#waiting.findIndex((other) => other.sequence > batch.sequence);
    this.#waiting.splice(younger === -1 ? this.#waiting.length : younger, 0, batch);
  }

  /** Ends a taken batch, delivered or lost. */
  settle(batch: Batch): void {
    this.#taken.delete(batch);
    this.#release(batch);
  }

  /** Drops everything that is not taken; returns the number of spans. */
  clear(): number {
    this.closeOpen();
    let spans = 0;
    for (const batch of this.#waiting.splice(0)) {
      spans += batch.spans;
      this.#release(batch);
    }
    return spans;
  }

  /** Whether a batch with a sequence below `sequence` is still here. */
  holdsBefore(sequence: number): boolean {
    const isBefore = (batch: Batch | undefined) => batch !== undefined && batch.sequence < sequence;
    return isBefore(this.#open) || isBefore(this.#waiting[0]) || [...this.#taken].some(isBefore);
  }

  #makeRequest(batch: Batch): Uint8Array<ArrayBuffer> {
    const plain = this.#format.finish(batch.writer!);
    if (this.#compress === undefined) return batch.request = plain;
    batch.request = this.#compress(plain);
    this.#recycle(batch);
    return batch.request;
  }

  #newBatch(): OpenBatch {
    const firstBytes = Math.min(this.#limits.maxBatchSize * SPAN_BYTES, MAX_FIRST_BUFFER_BYTES);
    const writer = this.#spareWriters.pop() ?? new ProtobufWriter(firstBytes);
    this.#format.begin(writer);
    return { sequence: this.#nextSequence++, writer, spans: 0 };
  }

  #removeOpen(): OpenBatch | undefined {
    const open = this.#open;
    this.#open = undefined;
    return open;
  }

  #release(batch: Batch): void {
    this.#spans -= batch.spans;
    this.#recycle(batch);
  }

  #recycle(batch: Batch): void {
    const { writer } = batch;
    batch.writer = undefined;
    if (writer && this.#spareWriters.length < this.#limits.maxSpareBuffers) this.#spareWriters.push(writer);
  }
}

function bytesOf({ writer, request }: Batch): number {
  return writer?.capacityBytes ?? request?.length ?? 0;
}
