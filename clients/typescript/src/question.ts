import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ChatInput, ChatInputSchema, type Completion } from "./gen/trunkline/v1/chat_pb.js";
import { Role } from "./gen/trunkline/v1/content_pb.js";

/** Whatever a question may have beside its words. */
export type Question = Omit<MessageInitShape<typeof ChatInputSchema>, "$typeName">;

/** A question of one message to a model. */
export function question(model: string, text: string, more: Question = {}): ChatInput {
  const parts = [{ kind: { case: "text" as const, value: { text } } }];
  return create(ChatInputSchema, { ...more, model, messages: [{ role: Role.USER, parts }] });
}

/** What the first answer of a completion says. */
export function textOf(completion: Completion | undefined): string {
  const parts = completion?.candidates[0]?.message?.parts ?? [];
  return parts.map(({ kind }) => (kind.case === "text" ? kind.value.text : "")).join("");
}
