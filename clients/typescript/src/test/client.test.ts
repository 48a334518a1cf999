import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, describe, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { Outcome } from "../gen/trunkline/v1/chat_pb.js";
import { failureOf, question, textOf } from "../index.js";
import { AdminService } from "../gen/trunkline/v1/admin_pb.js";
import { doors, signing, withOneGone } from "./gateway.js";

const TEN_WORDS = "one two three four five six seven eight nine ten";

function scripted(text: string, script: object) {
  return question("sandbox/echo", text, { providerOptionsJson: { sandbox: JSON.stringify({ script }) } });
}

async function failing(call: Promise<unknown>) {
  return call.then(() => assert.fail("it should fail"), failureOf);
}

for (const [door, open] of Object.entries(doors)) {
  describe(`over ${door}`, () => {
    const client = open();
    after(client.close);

    test("answers in one piece", async () => {
      const completion = await client.ask(question("sandbox/echo", "Hello out there"));
      assert.equal(textOf(completion), "Hello out there");
      assert.ok(completion.charge!.nanos > 0n);
    });

    test("streams", async () => {
      const pieces: string[] = [];
      for await (const text of client.stream(scripted(TEN_WORDS, { pace_ms: 10 }))) pieces.push(text);
      assert.equal(pieces.join(""), TEN_WORDS);
      assert.ok(pieces.length > 1);
    });

    test("leaving the loop stops the provider", async () => {
      let completionId = "";
      for await (const { event } of client.events(scripted("word", { endless: true, pace_ms: 20 }))) {
        if (event.case === "started") completionId = event.value.completionId;
        if (event.case === "partDelta") break;
      }
      const outcome = async () => (await client.chat.getCompletion({ completionId })).completion?.outcome;
      while ((await outcome()) !== Outcome.CANCELLED) await new Promise((resolve) => setTimeout(resolve, 50));
    });

    test("deadline", async () => {
      const failure = await failing(client.ask(scripted("late", { head_ms: 60_000 }), { timeoutMs: 500 }));
      assert.equal(failure.code, Code.DeadlineExceeded);
    });

    test("a failure tells its reason", async () => {
      const failure = await failing(client.ask(question("sandbox/nothing", "?")));
      assert.equal(failure.code, Code.NotFound);
      assert.equal(failure.reason, "MODEL_NOT_FOUND");
      assert.ok(failure.requestId);
    });

    test("a failure tells fields and providers", async () => {
      const wrong = await failing(client.ask(question(" ", "?")));
      assert.equal(wrong.fields[0]?.field, "input.model");
      const refused = await failing(client.ask(scripted("?", { status: 400 })));
      assert.equal(refused.upstream[0]?.httpStatus, 400);
    });

    test("metadata", async () => {
      let header = new Headers();
      let trailer = new Headers();
      const { completion } = await client.chat.complete(
        { input: question("sandbox/echo", "hello") },
        {
          headers: { "x-request-id": "typescript" },
          onHeader: (headers) => (header = headers),
          onTrailer: (trailers) => (trailer = trailers),
        },
      );
      const told = (name: string) => trailer.get(name) ?? header.get(name);
      assert.equal(told("x-trunkline-completion-id"), completion!.completionId);
      assert.equal(told("x-request-id"), "typescript");
    });

    test("a job is watched to its end", async () => {
      const work = { case: "chat" as const, value: question("sandbox/echo", "from a job") };
      const { job } = await client.jobs.createJob({ spec: { work }, requestId: `typescript-${door}` });
      const { result } = (await client.wait(job!.jobId)).result!;
      assert.ok(result.case === "completion");
      assert.equal(textOf(result.value), "from a job");
    });

    test("credits", async () => {
      await client.ask(question("sandbox/echo", "hello"));
      const { account } = await client.credits.getBalance({});
      const left = account!.balance!.nanos;
      assert.ok(0n < left && left < 100_000_000_000n);
    });
  });
}

test("where one replica is gone the others answer", async () => {
  const client = withOneGone();
  for (let call = 0; call < 4; call++) {
    assert.equal(textOf(await client.ask(question("sandbox/echo", "still here"))), "still here");
  }
  client.close();
});

test("signs each call with a key that has no secret", async () => {
  const pair = generateKeyPairSync("ed25519");
  const publicKey = Buffer.from(pair.publicKey.export({ format: "jwk" }).x!, "base64url");
  const admin = doors.grpc!();
  const { apiKey } = await admin.service(AdminService).createApiKey({ name: "ts", scopes: ["*"], publicKey });
  const client = signing(apiKey!.keyId, pair.privateKey.export({ format: "pem", type: "pkcs8" }).toString());
  const stranger = signing("x".repeat(12), pair.privateKey.export({ format: "pem", type: "pkcs8" }).toString());
  after(() => [admin, client, stranger].forEach(({ close }) => close()));
  const pieces: string[] = [];
  for await (const text of client.stream(question("sandbox/echo", "hi"))) pieces.push(text);
  assert.equal(pieces.join("") + textOf(await client.ask(question("sandbox/echo", "ho"))), "hiho");
  assert.equal((await failing(stranger.ask(question("sandbox/echo", "hi")))).reason, "AUTH_INVALID");
});
