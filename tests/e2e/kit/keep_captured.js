// Keeps what the page captures, so that a test can listen to it before it is sent.
(() => {
  if (!navigator.mediaDevices) return; // the blank page before
  window.capturedStreams = [];
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    const stream = await real(constraints);
    window.capturedStreams.push(stream);
    return stream;
  };
})();
