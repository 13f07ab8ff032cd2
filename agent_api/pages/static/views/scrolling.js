// Scrolling of a thread: stay at the newest message, and keep the place when older ones load above.
import { useEffect, useLayoutEffect, useRef, useState } from "../html.js";

const NEAR = 80; // pixels from the end that count as the end
const AHEAD = "1500px"; // how far above the visible part older messages are loaded

export function useScrolling({ firstId, loadOlder, hasOlder }) {
  const box = useRef(null);
  const column = useRef(null);
  const sentinel = useRef(null);
  const sticks = useRef(true);
  const drawn = useRef({ firstId, fromEnd: 0 });
  const [isAtEnd, setAtEnd] = useState(true);

  // Messages are about to appear above: remember the distance to the end, which they do not change.
  if (drawn.current.firstId !== firstId && box.current) {
    drawn.current.fromEnd = box.current.scrollHeight - box.current.scrollTop;
  }
  useLayoutEffect(() => {
    const wasEmpty = drawn.current.firstId === undefined;
    drawn.current.firstId = firstId;
    if (sticks.current || wasEmpty) toEnd();
    else box.current.scrollTop = box.current.scrollHeight - drawn.current.fromEnd;
  }, [firstId]);

  const toEnd = (behavior = "instant") => {
    sticks.current = true;
    box.current.scrollTo({ top: box.current.scrollHeight, behavior });
  };
  // The event can come when the thread has been closed, and `box` is empty.
  const onScroll = ({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
    sticks.current = scrollHeight - scrollTop - clientHeight < NEAR;
    setAtEnd(sticks.current);
  };
  // Anything that grows at the end, such as an answer that is being written, stays in view.
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => sticks.current && toEnd());
    observer.observe(column.current);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (!hasOlder) return undefined;
    const onCross = (entries) => entries.at(-1).isIntersecting && loadOlder();
    const observer = new IntersectionObserver(onCross, { root: box.current, rootMargin: `${AHEAD} 0px 0px` });
    observer.observe(sentinel.current);
    return () => observer.disconnect();
  }, [firstId, hasOlder]);

  /** Bring a message to the middle, and mark it for a moment. */
  const toMessage = (element) => {
    sticks.current = false;
    element.scrollIntoView({ block: "center" });
    element.focus({ preventScroll: true });
    element.classList.add("found");
    element.addEventListener("animationend", () => element.classList.remove("found"), { once: true });
    // Pages that were never drawn have an estimated height: correct the place when they have been.
    requestAnimationFrame(() => element.scrollIntoView({ block: "center" }));
  };

  return { box, column, sentinel, isAtEnd, onScroll, toEnd, toMessage };
}
