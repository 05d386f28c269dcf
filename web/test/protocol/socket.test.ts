import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RequestError } from "../../src/protocol/errors";
import { SignallingSocket } from "../../src/protocol/socket";
import { FakeSocket, LESSON } from "../support";

const events = { opened: vi.fn(), message: vi.fn(), closed: vi.fn() };
let far: FakeSocket;
let socket: SignallingSocket;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  Object.values(events).forEach((event) => event.mockReset());
  far = new FakeSocket();
  socket = new SignallingSocket(far, events);
  far.open();
});
afterEach(() => {
  vi.useRealTimers();
});

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "answered",
    (error: unknown) => (error instanceof RequestError ? error.code : String(error)),
  );
}

describe("a request", () => {
  it("gets the answer that carries its number", async () => {
    const open = socket.request({ type: "open" });
    const end = socket.request({ type: "end" });
    far.say({ type: "done", re: far.last("end").id });
    await expect(end).resolves.toMatchObject({ type: "done", re: far.last("end").id });
    far.say({ type: "error", re: far.last("open").id, code: "not-granted", text: "no", fatal: false });
    expect(await codeOf(open)).toBe("not-granted");
  });

  it("that is not answered fails", async () => {
    const failed = codeOf(socket.request({ type: "open" }));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await failed).toBe("no-answer");
  });

  it("fails when the connection closes, and so do later ones", async () => {
    const failed = codeOf(socket.request({ type: "open" }));
    far.drop(4000);
    expect(await failed).toBe("no-answer");
    expect(await codeOf(socket.request({ type: "open" }))).toBe("no-answer");
    expect(events.closed).toHaveBeenCalledExactlyOnceWith(4000);
  });

  it("is refused when too many wait", async () => {
    for (let sent = 0; sent < 32; sent += 1) socket.request({ type: "open" }).catch(() => undefined);
    expect(await codeOf(socket.request({ type: "open" }))).toBe("no-answer");
    expect(far.sent).toHaveLength(32);
  });
});

describe("what the server says", () => {
  it("comes in order, answers included, before the request goes on", async () => {
    const order: string[] = [];
    events.message.mockImplementation((message: { type: string }) => order.push(message.type));
    const answered = socket.request({ type: "open" }).then(() => order.push("request"));
    far.say({ type: "lesson", lesson: LESSON });
    far.say({ type: "done", re: far.last("open").id });
    await answered;
    expect(order).toEqual(["lesson", "done", "request"]);
  });

  it.each([
    ["malformed", '{"type":"lesson"}'],
    ["not JSON", "{"],
    ["binary", new ArrayBuffer(2)],
  ])("and is %s closes the connection", (_, frame) => {
    far.sayRaw(frame);
    expect(events.closed).toHaveBeenCalledOnce();
    expect(far.closedWith).toBe(4000);
    far.say({ type: "lesson", lesson: LESSON });
    expect(events.message).not.toHaveBeenCalled();
  });

  it("of a newer kind is passed over", () => {
    far.say({ type: "floor" });
    expect(events.message).not.toHaveBeenCalled();
    expect(far.closedWith).toBeNull();
  });
});

it("says nothing more once it was closed from here", () => {
  socket.close();
  far.say({ type: "lesson", lesson: LESSON });
  far.drop();
  expect(far.closedWith).toBe(1000);
  expect(events.message).not.toHaveBeenCalled();
  expect(events.closed).not.toHaveBeenCalled();
});
