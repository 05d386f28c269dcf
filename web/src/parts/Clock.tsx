import { type ReactElement, useEffect, useState } from "react";

/** The time of day as Finland writes it ("9.58"), in every language of the pages. */
const TIME_OF_DAY = new Intl.DateTimeFormat("fi-FI", { hour: "numeric", minute: "2-digit" });

export function timeOfDay(now: Date): string {
  return TIME_OF_DAY.format(now);
}

export function Clock({ className }: { readonly className: string }): ReactElement {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    // On the minute, not up to a minute late.
    const timer = setTimeout(() => setNow(new Date()), 60_000 - (now.getTime() % 60_000) + 20);
    return () => clearTimeout(timer);
  }, [now]);
  return (
    <time className={className} dateTime={now.toISOString()}>
      {timeOfDay(now)}
    </time>
  );
}
