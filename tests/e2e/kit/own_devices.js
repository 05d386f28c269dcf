// A camera and a microphone for a browser that plays no files as its devices: a canvas with the code of each frame,
// and a tone burst each second.
((wish) => {
  if (!navigator.mediaDevices) return; // the blank page before
  const { width, height, perSecond, words, columns, rows, cell, places, burstS } = wish;
  const startCamera = () => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const brush = canvas.getContext("2d");
    const size = cell * width;
    const box = (left, top, column, row, wide, high, colour) => {
      const [x, y] = [left + column * size, top + row * size].map(Math.round);
      brush.fillStyle = colour;
      brush.fillRect(x, y, Math.round(left + (column + wide) * size) - x, Math.round(top + (row + high) * size) - y);
    };
    const [black, white] = ["rgb(0 0 0)", "rgb(255 255 255)"];
    let frame = 0;
    const draw = () => {
      brush.fillStyle = frame % 2 ? "rgb(112 120 112)" : "rgb(112 112 120)";
      brush.fillRect(0, 0, width, height);
      for (const [x, y] of places) {
        const [left, top] = [x * width, y * height];
        box(left, top, 0, 0, columns + 4, rows + 4, black);
        box(left, top, 1, 1, columns + 2, rows + 2, white);
        for (let at = 0; at < columns * rows; at += 1) {
          const isWhite = Math.floor(words[frame % words.length] / 2 ** (columns * rows - 1 - at)) % 2;
          box(left, top, 2 + (at % columns), 2 + Math.floor(at / columns), 1, 1, isWhite ? white : black);
        }
      }
      frame += 1;
    };
    draw();
    setInterval(draw, 1000 / perSecond);
    return canvas.captureStream(perSecond).getVideoTracks()[0];
  };
  const startMicrophone = async () => {
    // The browser's own fake microphone is a steady tone; a burst of it each second is what the tests look for.
    const [track] = (await real({ audio: { noiseSuppression: false, echoCancellation: false } })).getAudioTracks();
    track.enabled = false;
    setInterval(() => {
      track.enabled = true;
      setTimeout(() => (track.enabled = false), burstS * 1000);
    }, 1000);
    return track;
  };
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async ({ video, audio }) => {
    const tracks = [];
    if (video) tracks.push(startCamera());
    if (audio) tracks.push(await startMicrophone());
    return new MediaStream(tracks);
  };
})
