/** The gateway from Node: gRPC over HTTP/2. */
import { Http2SessionManager, createGrpcTransport } from "@connectrpc/connect-node";
import type { Transport } from "@connectrpc/connect";
import { Trunkline, type Options } from "./client.js";
import { identity } from "./identity.js";
import { repeating } from "./repeat.js";
import { type Signing, signing } from "./signing.js";
import { inTurn } from "./turns.js";

export type { Signing } from "./signing.js";

const KEEPALIVE = { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 };

/** A client of the gateway at an address such as `gateway:50051`, or of several, which are then asked in turn. */
export function connect(address: string | string[], options: Options | Signing): Trunkline {
  const lines = [address].flat().map((each) => line(each, options));
  const transport = repeating(inTurn(lines.map(({ transport }) => transport)));
  return new Trunkline(transport, () => lines.forEach(({ session }) => session.abort()));
}

function line(address: string, options: Options | Signing): { transport: Transport; session: Http2SessionManager } {
  const baseUrl = address.includes("://") ? address : `http://${address}`;
  const session = new Http2SessionManager(baseUrl, KEEPALIVE);
  const interceptors = [identity(options), ...("signingKey" in options ? [signing(options)] : [])];
  const transport = createGrpcTransport({ baseUrl, sessionManager: session, interceptors });
  return { transport, session };
}
