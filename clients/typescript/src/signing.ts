import { createHash, randomBytes, sign } from "node:crypto";
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** Who calls with a key that has no secret: each call is signed, and no key is sent. */
export interface Signing {
  /** The key's id. */
  keyId: string;
  /** Its Ed25519 private key, in PEM. */
  signingKey: string;
  /** The end user whose account is charged; else the key's own. */
  user?: string;
}

/** What has to be signed where a call has it. */
const MEANT = [
  "x-trunkline-user",
  "x-trunkline-account",
  "x-trunkline-priority",
  "idempotency-key",
  "x-request-id",
  "last-event-id",
];

/** Signs each call (RFC 9421). What is signed is what gRPC sends: the one message behind its five bytes. */
export function signing(key: Signing): Interceptor {
  return (next) => async (request) => {
    const sealed = (message: MessageShape<DescMessage>) =>
      seal(key, new URL(request.url).pathname, toBinary(request.method.input, message), request.header);
    if (!request.stream) {
      sealed(request.message);
      return next(request);
    }
    if (request.method.methodKind !== "server_streaming") {
      throw new ConnectError("what is sent in pieces cannot be signed", Code.Unimplemented);
    }
    for await (const message of request.message) {
      sealed(message);
      return next({ ...request, message: only(message) });
    }
    throw new ConnectError("there is no request", Code.InvalidArgument);
  };
}

async function* only<T>(message: T) {
  yield message;
}

function seal({ keyId, signingKey }: Signing, path: string, message: Uint8Array, header: Headers): void {
  const length = Buffer.alloc(5);
  length.writeUInt32BE(message.length, 1);
  const digest = createHash("sha256").update(length).update(message).digest("base64");
  header.set("content-digest", `sha-256=:${digest}:`);
  const fields = [...MEANT, "content-digest"].filter((name) => header.has(name));
  const values = [["@method", "POST"], ["@path", path], ...fields.map((name) => [name, header.get(name)!.trim()])];
  const names = values.map(([name]) => `"${name}"`).join(" ");
  const nonce = randomBytes(18).toString("base64url");
  const made = `created=${Math.floor(Date.now() / 1000)};nonce="${nonce}";keyid="${keyId}";alg="ed25519"`;
  const lines = [...values, ["@signature-params", `(${names});${made}`]].map(([name, value]) => `"${name}": ${value}`);
  const signature = sign(null, Buffer.from(lines.join("\n")), signingKey).toString("base64");
  header.set("signature-input", `sig=(${names});${made}`);
  header.set("signature", `sig=:${signature}:`);
}
