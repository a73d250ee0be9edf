// The stream of live events. Not EventSource: that tells neither a 401 nor a silent connection.
import { ApiError } from "./client";
import { parseJson } from "./exact";
import type { LiveEvent } from "./types";

export type StreamState = "connecting" | "open" | "reconnecting";
export type LiveFilter = { source?: string; type?: string; q?: string };
type Listener = {
  onEvents: (events: LiveEvent[]) => void;
  /** How many more came, too fast to be told. */
  onSkipped: (count: number) => void;
  onState: (state: StreamState) => void;
  onRefused: (error: ApiError) => void;
};

/** Milliseconds. A ping comes each 10 s, so this much silence is a dead connection. */
const LONGEST_SILENCE = 25_000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;

/** Listens until the returned function is called; connects again from where it was after every break. */
export function listen(filter: LiveFilter, listener: Listener): () => void {
  const ended = new AbortController();
  void keepListening(filter, listener, ended.signal);
  return () => ended.abort();
}

async function keepListening(filter: LiveFilter, listener: Listener, ended: AbortSignal): Promise<void> {
  let lastId = "";
  let wait = FIRST_WAIT;
  listener.onState("connecting");
  while (!ended.aborted) {
    try {
      await stream(filter, lastId, ended, (message) => {
        wait = FIRST_WAIT;
        if (message === "open") listener.onState("open");
        else {
          lastId = message.id || lastId;
          if (message.event === "skipped") listener.onSkipped(Number(message.data));
          if (message.event === "events") listener.onEvents(parseJson<LiveEvent[]>(message.data));
        }
      });
    } catch (error) {
      if (ended.aborted) return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) {
        listener.onRefused(error);
        return;
      }
    }
    if (ended.aborted) return;
    listener.onState("reconnecting");
    await pause(wait * (0.75 + Math.random() / 2), ended);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}

type Message = { event: string; data: string; id: string };

async function stream(
  filter: LiveFilter,
  lastId: string,
  ended: AbortSignal,
  take: (message: Message | "open") => void,
): Promise<void> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), LONGEST_SILENCE);
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
  try {
    const response = await fetch(`/v1/events/live?${query}`, {
      headers: { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) },
      signal: AbortSignal.any([ended, silence.signal]),
      cache: "no-store",
    });
    if (!response.ok || !response.body) {
      throw new ApiError(response.status, await response.json().catch(() => ({})));
    }
    take("open");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), LONGEST_SILENCE);
      // A lone carriage return at the end may be half of a line break.
      const blocks = (rest + value).replace(/\r\n|\r(?=[^\n])/g, "\n").split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) take(read(block));
    }
  } finally {
    clearTimeout(timer);
  }
}

/** One message of the stream, without its blank line. */
export function read(block: string): Message {
  const message: Message = { event: "message", data: "", id: "" };
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    else if (field === "event") message.event = value;
    else if (field === "id") message.id = value;
  }
  message.data = data.join("\n");
  return message;
}

function pause(milliseconds: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    ended.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
