/** Speaks to Trunkline, the gRPC gateway to every AI provider. Take `connect` from `./node` or `./web`. */
export { Trunkline, type Options } from "./client.js";
export { question, textOf, type Question } from "./question.js";
export { failureOf, type Failure } from "./failure.js";
