// Every frame that the one <video> of `selector` presents for `seconds`, with the time at which it went to the
// compositor and, for a picture of this page's own camera, that at which it was captured; POSIX milliseconds, grey in
// base64. (expectedDisplayTime is no use: without a screen Chromium puts it 100 ms ahead for some pictures.)
async ({ selector, seconds, width }) => {
  const height = Math.round((width * 9) / 16);
  const canvas = new OffscreenCanvas(width, height);
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const video = document.querySelector(selector);
  const frames = [];
  const posix = (time) => (time === undefined ? null : performance.timeOrigin + time);
  await new Promise((resolve) => {
    const end = performance.now() + seconds * 1000;
    const take = (now, { presentationTime, captureTime, mediaTime }) => {
      const frame = new VideoFrame(video);
      // A callback that comes late finds the next frame in its place; the times are not that one's.
      if (Math.abs(frame.timestamp / 1e6 - mediaTime) < 0.001) {
        brush.drawImage(frame, 0, 0, width, height);
        const colours = brush.getImageData(0, 0, width, height).data;
        const grey = new Uint8Array(width * height);
        for (let at = 0; at < grey.length; at += 1) grey[at] = colours[4 * at + 1];
        frames.push({ shownMs: posix(presentationTime), capturedMs: posix(captureTime), grey });
      }
      frame.close();
      if (performance.now() < end) video.requestVideoFrameCallback(take);
    };
    video.requestVideoFrameCallback(take);
    setTimeout(resolve, seconds * 1000);
  });
  const base64 = (bytes) => {
    let text = "";
    for (let at = 0; at < bytes.length; at += 0x8000) {
      text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
    }
    return btoa(text);
  };
  return frames.map((frame) => ({ ...frame, width, height, grey: base64(frame.grey) }));
};
