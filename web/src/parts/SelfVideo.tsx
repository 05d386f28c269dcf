import { type ReactElement, useEffect, useRef } from "react";

interface SelfVideoProps {
  readonly track: MediaStreamTrack;
}

/** The own camera: muted, mirrored by its style, never waited for. */
export function SelfVideo({ track }: SelfVideoProps): ReactElement {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const video = element.current;
    if (video === null) return;
    video.srcObject = new MediaStream([track]);
    video.play().catch(() => undefined); // it starts with its first frame
    return () => {
      video.srcObject = null;
    };
  }, [track]);
  return <video ref={element} data-self="" muted playsInline autoPlay aria-hidden="true" />;
}
