import { connect as connectNode } from "../node.js";
import { connect as connectWeb } from "../web.js";
import type { Trunkline } from "../index.js";

function told(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} says where a gateway runs`);
  return value;
}

const options = { key: told("TRUNKLINE_API_KEY"), user: "typescript" };

/** Both ways to a gateway: what holds for one holds for the other. */
export const doors: Record<string, () => Trunkline> = {
  grpc: () => connectNode(told("TRUNKLINE_ADDRESS"), options),
  connect: () => connectWeb(told("TRUNKLINE_URL"), options),
};

/** The same by a key that signs. */
export const signing = (keyId: string, signingKey: string) =>
  connectNode(told("TRUNKLINE_ADDRESS"), { keyId, signingKey, user: "typescript" });

/** A gateway behind an address where nobody is, and one where it is. */
export const withOneGone = () => connectNode(["127.0.0.1:1", told("TRUNKLINE_ADDRESS")], options);
