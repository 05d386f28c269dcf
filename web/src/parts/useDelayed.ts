import { useEffect, useState } from "react";

/** True once `on` has been true for `waitMs` without a break: what mends itself at once is not worth a word. */
export function useDelayed(on: boolean, waitMs: number): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!on) return;
    const timer = setTimeout(() => setLate(true), waitMs);
    return () => {
      clearTimeout(timer);
      setLate(false);
    };
  }, [on, waitMs]);
  return on && late;
}
