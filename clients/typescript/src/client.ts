import { type Client, type Transport, createClient } from "@connectrpc/connect";
import type { DescService } from "@bufbuild/protobuf";
import { BatchService } from "./gen/trunkline/v1/batches_pb.js";
import { type ChatEvent, type ChatInput, ChatService, type Completion } from "./gen/trunkline/v1/chat_pb.js";
import { ConversationService } from "./gen/trunkline/v1/conversations_pb.js";
import { CreditService } from "./gen/trunkline/v1/credits_pb.js";
import { EmbeddingService } from "./gen/trunkline/v1/embeddings_pb.js";
import { type Job, JobService, JobState } from "./gen/trunkline/v1/jobs_pb.js";
import { ModelService } from "./gen/trunkline/v1/models_pb.js";
import { passed, passes } from "./repeat.js";

const WATCH_PAUSE_MS = 500;

/** Who calls, and how. */
export interface Options {
  /** An API key of the gateway. */
  key: string;
  /** The end user whose account is charged; else the key's own. */
  user?: string;
}

/** What may be said about one call. */
export interface CallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** A client for each service that a caller needs, and a short way for what is wanted most often. */
export class Trunkline {
  readonly chat: Client<typeof ChatService>;
  readonly conversations: Client<typeof ConversationService>;
  readonly credits: Client<typeof CreditService>;
  readonly embeddings: Client<typeof EmbeddingService>;
  readonly jobs: Client<typeof JobService>;
  readonly batches: Client<typeof BatchService>;
  readonly models: Client<typeof ModelService>;

  constructor(
    readonly transport: Transport,
    /** Ends the connections, and every call on them. */
    readonly close: () => void = () => {},
  ) {
    this.chat = createClient(ChatService, transport);
    this.conversations = createClient(ConversationService, transport);
    this.credits = createClient(CreditService, transport);
    this.embeddings = createClient(EmbeddingService, transport);
    this.jobs = createClient(JobService, transport);
    this.batches = createClient(BatchService, transport);
    this.models = createClient(ModelService, transport);
  }

  /** The client of any other service. */
  service<T extends DescService>(service: T): Client<T> {
    return createClient(service, this.transport);
  }

  /** Asks and waits for the whole answer. The call has a request id, so a repetition is not charged twice. */
  async ask(input: ChatInput, options: CallOptions = {}): Promise<Completion> {
    const { completion } = await this.chat.complete({ input, requestId: crypto.randomUUID() }, options);
    return completion!;
  }

  /** Asks and yields every event. Leaving the loop stops the provider. */
  async *events(input: ChatInput, options: CallOptions = {}): AsyncGenerator<ChatEvent> {
    const left = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, left.signal]) : left.signal;
    try {
      const answers = this.chat.stream({ input, requestId: crypto.randomUUID() }, { ...options, signal });
      for await (const { event } of answers) if (event) yield event;
    } finally {
      left.abort();
    }
  }

  /** Asks and yields the answer's text as it comes. Leaving the loop stops the provider. */
  async *stream(input: ChatInput, options: CallOptions = {}): AsyncGenerator<string> {
    for await (const { event } of this.events(input, options)) {
      if (event.case === "partDelta" && event.value.delta.case === "text") yield event.value.delta.value;
    }
  }

  /** Watches a job until it has ended, over restarts of the gateway; each change is told to `changed`. */
  async wait(jobId: string, options: CallOptions & { changed?: (job: Job) => void } = {}): Promise<Job> {
    const { changed, ...call } = options;
    for (;;) {
      try {
        for await (const { told } of this.jobs.watchJob({ jobId }, call)) {
          if (told.case !== "job") continue;
          changed?.(told.value);
          if (told.value.state >= JobState.SUCCEEDED) return told.value;
        }
      } catch (error) {
        if (call.timeoutMs !== undefined || call.signal?.aborted || !passes(error)) throw error;
        await passed(WATCH_PAUSE_MS, call.signal);
      }
    }
  }
}
