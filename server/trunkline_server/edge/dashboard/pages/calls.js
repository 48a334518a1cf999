// The way to the services: JSON, with the session's cookie and the mark that only these pages send.

const MARK = { "x-trunkline-dashboard": "1" };
const JSON_TYPE = { "content-type": "application/json" };
const PAUSES_MS = [200, 1000, 3000, 6000, 10000];

export class Refused extends Error {
  constructor(status, told) {
    super(told.message || `the gateway answered ${status}`);
    this.status = status;
    this.code = told.code || "";
  }
}

async function post(path, body, signal) {
  const response = await fetch(`/dashboard/${path}`, {
    method: "POST", headers: { ...MARK, ...JSON_TYPE }, body: JSON.stringify(body), signal, credentials: "same-origin",
  });
  if (!response.ok) {
    if (response.status === 401 && path !== "session") window.dispatchEvent(new Event("signed-out"));
    throw new Refused(response.status, await response.json().catch(() => ({})));
  }
  return response;
}

export const isSignedIn = async () => (await (await fetch("/dashboard/session", { credentials: "same-origin" })).json()).signed_in;
export const signIn = (apiKey) => post("session", { api_key: apiKey });
export const signOut = () => post("session/end", {});

export async function call(method, request = {}, signal) {
  return (await post(`api/trunkline.v1.${method}`, request, signal)).json();
}

// All rows of a list, page after page, up to a number of pages.
export async function all(method, request, field, signal, pagesMax = 5) {
  const rows = [];
  let pageToken = "";
  for (let page = 0; page < pagesMax; page += 1) {
    const told = await call(method, { pageSize: 1000, ...request, pageToken }, signal);
    rows.push(...(told[field] || []));
    pageToken = told.nextPageToken;
    if (!pageToken) break;
  }
  return rows;
}

// The messages of a stream, as they come: lines of JSON.
export async function* stream(method, request, signal) {
  const reader = (await post(`api/trunkline.v1.${method}`, request, signal)).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const message = JSON.parse(line);
      if (message.error) throw new Refused(200, message.error);
      yield message;
    }
  }
}

// The events of a chat. Where the connection breaks behind one of them, it goes on there by another.
export async function* chat(request, signal) {
  let resumeToken = "";
  for (let broken = 0; ; broken += 1) {
    const [method, asked] = resumeToken ? ["ResumeStream", { resumeToken }] : ["Stream", { ...request, resumable: true }];
    try {
      for await (const { event } of stream(`ChatService/${method}`, asked, signal)) {
        ({ resumeToken } = event);
        broken = 0;
        yield event;
      }
      return;
    } catch (error) {
      if (!resumeToken || broken === PAUSES_MS.length || !isAway(error)) throw error;
    }
    await new Promise((wake) => { setTimeout(wake, PAUSES_MS[broken]); });
  }
}

// Nobody has answered; what the gateway says itself stands.
const isAway = (error) => (error instanceof Refused ? error.status >= 500 : error.name !== "AbortError");
