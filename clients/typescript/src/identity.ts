import type { Interceptor } from "@connectrpc/connect";
import type { Options } from "./client.js";

/** Adds to each call who makes it. */
export function identity({ key, user }: Partial<Options>): Interceptor {
  return (next) => (request) => {
    if (key) request.header.set("authorization", `Bearer ${key}`);
    if (user) request.header.set("x-trunkline-user", user);
    return next(request);
  };
}
