import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";

const ATTEMPTS = 3;
const FIRST_PAUSE_MS = 100;
const READ_TIMEOUT_MS = 60_000;
const CALL_TIMEOUT_MS = 900_000;

/**
 * Repeats unary calls that may be repeated: three attempts, where nobody is there, unless the gateway says otherwise.
 * It gives them a deadline, too. Streams have the gateway's: the timer of one that is left would keep Node alive.
 */
export function repeating(transport: Transport): Transport {
  return {
    stream: (...call) => transport.stream(...call),
    async unary(method, signal, timeoutMs, ...call) {
      const reads = method.idempotency === Level.NO_SIDE_EFFECTS;
      const deadline = Date.now() + (timeoutMs ?? (reads ? READ_TIMEOUT_MS : CALL_TIMEOUT_MS));
      for (let attempt = 1; ; attempt++) {
        try {
          return await transport.unary(method, signal, Math.max(1, deadline - Date.now()), ...call);
        } catch (error) {
          const repeatable = attempt < ATTEMPTS && method.idempotency !== Level.IDEMPOTENCY_UNKNOWN;
          const pause = repeatable ? pauseMs(error, attempt) : -1;
          if (pause < 0) throw error;
          await passed(pause, signal);
        }
      }
    },
  };
}

/** Whether a watch ended because of its length or its gateway, not because of what it watches. */
export function passes(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return code === Code.Unavailable || code === Code.DeadlineExceeded;
}

/** A pause that ends with an error when the call is given up. */
export function passed(pauseMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stopped = () => (clearTimeout(timer), reject(signal?.reason));
    const timer = setTimeout(() => (signal?.removeEventListener("abort", stopped), resolve()), pauseMs);
    signal?.addEventListener("abort", stopped, { once: true });
    if (signal?.aborted) stopped();
  });
}

/** How long to wait before the next attempt; negative: there is none. */
function pauseMs(error: unknown, attempt: number): number {
  const failure = ConnectError.from(error);
  if (failure.code !== Code.Unavailable) return -1;
  const told = failure.metadata.get("grpc-retry-pushback-ms");
  return told === null ? FIRST_PAUSE_MS * 2 ** (attempt - 1) * Math.random() : Number(told);
}
