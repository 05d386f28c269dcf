// What the page shows in its slots: `series` looks, `everyMs` apart, each at every <video data-slot> that is
// visible and has a picture. Gives [{slot, endpoint, kind, atMs, width, height, grey}], grey in base64.
async ({ series, everyMs, width }) => {
  const height = Math.round((width * 9) / 16);
  const canvas = new OffscreenCanvas(width, height);
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const base64 = (bytes) => {
    let text = "";
    for (let at = 0; at < bytes.length; at += 0x8000) {
      text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
    }
    return btoa(text);
  };
  const look = (video) => {
    brush.drawImage(video, 0, 0, width, height);
    const colours = brush.getImageData(0, 0, width, height).data;
    const grey = new Uint8Array(width * height);
    for (let at = 0; at < grey.length; at += 1) grey[at] = colours[4 * at + 1];
    return {
      slot: Number(video.dataset.slot),
      endpoint: video.dataset.endpoint ?? "",
      kind: video.dataset.kind ?? "",
      atMs: performance.timeOrigin + performance.now(),
      width,
      height,
      grey: base64(grey),
    };
  };
  const shown = [];
  for (let done = 0; done < series; done += 1) {
    for (const video of document.querySelectorAll("video[data-slot]")) {
      const box = video.getBoundingClientRect();
      if (video.videoWidth > 0 && video.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && box.width > 0 && box.height > 0) {
        shown.push(look(video));
      }
    }
    await new Promise((later) => setTimeout(later, everyMs));
  }
  return shown;
};
