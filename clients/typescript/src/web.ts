/** The gateway from a browser, or from whatever else has `fetch`: Connect over HTTP. */
import { createConnectTransport } from "@connectrpc/connect-web";
import { Trunkline, type Options } from "./client.js";
import { identity } from "./identity.js";
import { repeating } from "./repeat.js";

/** A client of the gateway's HTTP door. Whoever uses the page has its key: give that key few scopes. */
export function connect(baseUrl: string, options: Options): Trunkline {
  const interceptors = [identity(options)];
  return new Trunkline(repeating(createConnectTransport({ baseUrl, interceptors })));
}
