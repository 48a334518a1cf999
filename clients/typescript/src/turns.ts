import { Code, ConnectError, type Transport } from "@connectrpc/connect";

const REST_MS = 5_000;

/** Deals calls out over transports; one that could not be reached rests for a while, as long as others are there. */
export function inTurn(transports: Transport[]): Transport {
  const [only] = transports;
  if (!only) throw new Error("an address is needed");
  if (transports.length === 1) return only;
  const restsUntil = transports.map(() => 0);
  let turn = 0;

  const next = (): number => {
    const now = Date.now();
    const order = transports.map((_, index) => (turn + index) % transports.length);
    const chosen = order.find((index) => restsUntil[index]! <= now) ?? order[0]!;
    turn = chosen + 1;
    return chosen;
  };
  const asked = async <T>(call: (transport: Transport) => Promise<T>): Promise<T> => {
    const chosen = next();
    try {
      return await call(transports[chosen]!);
    } catch (error) {
      if (ConnectError.from(error).code === Code.Unavailable) restsUntil[chosen] = Date.now() + REST_MS;
      throw error;
    }
  };
  return {
    unary: (...call) => asked((transport) => transport.unary(...call)),
    stream: (...call) => asked((transport) => transport.stream(...call)),
  };
}
