import { type Code, ConnectError } from "@connectrpc/connect";
import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";
import { type PartialResult, PartialResultSchema, type UpstreamFailure, UpstreamFailuresSchema } from "./gen/trunkline/v1/errors_pb.js";

/** What the gateway says of a call that failed. */
export interface Failure {
  code: Code;
  message: string;
  /** The word to branch on, such as `CREDIT_INSUFFICIENT`; empty where no gateway spoke. */
  reason: string;
  /** The facts of the reason. */
  facts: Record<string, string>;
  /** The call in the gateway's log. */
  requestId: string;
  /** When to try again; undefined: that does not help, or nobody knows. */
  retryAfterMs: number | undefined;
  /** Which fields of the request are wrong. */
  fields: { field: string; description: string }[];
  /** How far the call came, and what it cost. */
  partial: PartialResult | undefined;
  /** What the providers that were tried answered. */
  upstream: UpstreamFailure[];
}

/** Reads whatever a call threw. */
export function failureOf(thrown: unknown): Failure {
  const error = ConnectError.from(thrown);
  const [info] = error.findDetails(ErrorInfoSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  return {
    code: error.code,
    message: error.rawMessage,
    reason: info?.reason ?? "",
    facts: info?.metadata ?? {},
    requestId: error.findDetails(RequestInfoSchema)[0]?.requestId ?? "",
    retryAfterMs: retry?.retryDelay && durationMs(retry.retryDelay),
    fields: error.findDetails(BadRequestSchema)[0]?.fieldViolations ?? [],
    partial: error.findDetails(PartialResultSchema)[0],
    upstream: error.findDetails(UpstreamFailuresSchema)[0]?.failures ?? [],
  };
}
