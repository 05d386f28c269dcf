import { describe, expect, it, vi } from "vitest";
import { type DeviceAccess, LocalMedia, troubleOf } from "../../src/media/devices";
import { stream, track } from "../support";

type Ask = (wanted: { readonly video: boolean; readonly audio: boolean }) => MediaStream | DOMException;

/** Devices that answer by a rule, and a record of what was asked. */
function devices(ask: Ask, denied: readonly string[] = []) {
  const asked: string[] = [];
  const access: DeviceAccess = {
    mediaDevices: {
      getUserMedia: (constraints) => {
        const wanted = { video: Boolean(constraints?.video), audio: Boolean(constraints?.audio) };
        asked.push(`${wanted.video ? "camera" : ""}${wanted.audio ? "mic" : ""}`);
        const answer = ask(wanted);
        return answer instanceof DOMException ? Promise.reject(answer) : Promise.resolve(answer);
      },
    },
    permissions: {
      query: ({ name }) =>
        Promise.resolve({ state: denied.includes(name) ? "denied" : "prompt" } as PermissionStatus),
    },
  };
  return { local: new LocalMedia(access), asked };
}

const no = (name: string) => new DOMException("", name);
const both = { camera: true, mic: true };
const given: Ask = ({ video, audio }) =>
  stream(...(video ? [track("video")] : []), ...(audio ? [track("audio")] : []));

describe("asking for camera and microphone", () => {
  it("is one question", async () => {
    const { local, asked } = devices(given);
    await local.acquire(both);
    expect(asked).toEqual(["cameramic"]);
    expect([local.state.camera.state, local.state.mic.state]).toEqual(["on", "on"]);
    expect(local.outgoing()).toMatchObject({ camera: { on: true }, mic: { on: true }, screen: { track: null, on: false } });
  });

  it("does not ask for what is there", async () => {
    const { local, asked } = devices(given);
    await local.acquire({ camera: false, mic: true });
    await local.acquire(both);
    await local.acquire(both);
    expect(asked).toEqual(["mic", "camera"]);
  });

  it("after a no does not ask again", async () => {
    const { local, asked } = devices(() => no("NotAllowedError"));
    await local.acquire(both);
    expect(asked).toEqual(["cameramic"]);
    expect(local.state).toMatchObject({
      camera: { state: "trouble", trouble: "denied" },
      mic: { state: "trouble", trouble: "denied" },
    });
  });

  it("with one of them forbidden takes the other", async () => {
    const { local } = devices((wanted) => (wanted.video ? no("NotAllowedError") : given(wanted)), ["camera"]);
    await local.acquire(both);
    expect(local.state).toMatchObject({ camera: { state: "trouble", trouble: "denied" }, mic: { state: "on" } });
  });

  it.each([
    ["NotFoundError", "missing"],
    ["NotReadableError", "busy"],
  ])("with a camera that gives %s takes the microphone", async (name, trouble) => {
    const { local } = devices((wanted) => (wanted.video ? no(name) : given(wanted)));
    await local.acquire(both);
    expect(local.state).toMatchObject({ camera: { state: "trouble", trouble }, mic: { state: "on" } });
  });

  it("on a page that did not come over HTTPS says so", async () => {
    const local = new LocalMedia({});
    await local.acquire(both);
    expect(local.state.camera).toEqual({ state: "trouble", trouble: "insecure" });
    expect(local.canShare).toBe(false);
  });

  it("lets go of what comes after the page was left", async () => {
    const late = track("video");
    let give: (stream: MediaStream) => void = () => undefined;
    const local = new LocalMedia({
      mediaDevices: { getUserMedia: () => new Promise((resolve) => (give = resolve)) },
    });
    const asking = local.acquire({ camera: true, mic: false });
    local.stop();
    give(stream(late));
    await asking;
    expect(late.readyState).toBe("ended");
    expect(local.outgoing().camera).toEqual({ track: null, on: false });
  });
});

describe("switching", () => {
  it("the microphone keeps its track silent, and does not ask again", async () => {
    const { local, asked } = devices(given);
    await local.acquire(both);
    const { track: mic } = local.outgoing().mic;
    await local.setMic(false);
    expect(local.outgoing().mic).toEqual({ track: mic, on: false });
    expect(mic?.enabled).toBe(false);
    await local.setMic(true);
    expect(local.outgoing().mic).toEqual({ track: mic, on: true });
    expect(mic?.enabled).toBe(true);
    expect(asked).toHaveLength(1);
  });

  it("the camera off lets go of the device, and on asks for it anew", async () => {
    const { local } = devices(given);
    await local.acquire(both);
    const { track: first } = local.outgoing().camera;
    await local.setCamera(false);
    expect(first?.readyState).toBe("ended");
    expect(local.outgoing().camera).toEqual({ track: null, on: false });
    await local.setCamera(true);
    expect(local.outgoing().camera.on).toBe(true);
    expect(local.outgoing().camera.track).not.toBe(first);
  });

  it("a device pulled out is said to be lost", async () => {
    const { local } = devices(given);
    await local.acquire(both);
    local.outgoing().camera.track?.onended?.(new Event("ended"));
    expect(local.state.camera).toEqual({ state: "trouble", trouble: "lost" });
  });
});

describe("after a reload", () => {
  it("asks only for what had been on, and keeps the rest off until it is switched on", async () => {
    const { local, asked } = devices(given);
    await local.restore({ camera: true, mic: false });
    expect(asked).toEqual(["camera"]);
    expect(local.state).toMatchObject({ camera: { state: "on" }, mic: { state: "off", track: null } });
    await local.setMic(true);
    expect(asked).toEqual(["camera", "mic"]);
    expect(local.outgoing().mic.on).toBe(true);
  });
});

describe("sharing a screen", () => {
  function sharing(display: () => Promise<MediaStream>) {
    return new LocalMedia({ mediaDevices: { getUserMedia: () => Promise.reject(no("NotFoundError")), getDisplayMedia: display } });
  }

  it("sends it with its sound, and stops both together", async () => {
    const [screen, sound] = [track("video"), track("audio")];
    const local = sharing(() => Promise.resolve(stream(screen, sound)));
    const heard = vi.fn();
    local.subscribe(heard);
    await local.shareScreen();
    expect(local.outgoing()).toMatchObject({ screen: { track: screen, on: true }, content: { track: sound, on: true } });
    expect(screen.contentHint).toBe("detail");
    local.stopScreen();
    expect([screen.readyState, sound.readyState]).toEqual(["ended", "ended"]);
    expect(local.outgoing()).toMatchObject({ screen: { track: null, on: false }, content: { track: null, on: false } });
    expect(heard).toHaveBeenCalledTimes(2);
  });

  it("may be thought better of", async () => {
    const local = sharing(() => Promise.reject(no("NotAllowedError")));
    await expect(local.shareScreen()).resolves.toBeUndefined();
    expect(local.state.screen).toBeNull();
  });

  it("that fails is an error", async () => {
    await expect(sharing(() => Promise.reject(no("NotReadableError"))).shareScreen()).rejects.toThrow();
  });
});

describe("the name of an error", () => {
  it.each([
    ["NotAllowedError", "denied"],
    ["NotFoundError", "missing"],
    ["OverconstrainedError", "missing"],
    ["NotReadableError", "busy"],
    ["AbortError", "busy"],
    ["SecurityError", "insecure"],
    ["TypeError", "failed"],
  ])("%s means %s", (name, trouble) => {
    expect(troubleOf(no(name))).toBe(trouble);
  });
});
