// State outside of the components: read with get(), changed with set(), observed with subscribe().
import { useEffect, useRef, useState } from "../html.js";

export function createStore(initial) {
  let state = initial;
  const listeners = new Set();
  return {
    get: () => state,
    /** Merge a patch, or what a function of the state returns. Undefined changes nothing. */
    set(change) {
      const patch = typeof change === "function" ? change(state) : change;
      if (!patch) return;
      state = { ...state, ...patch };
      for (const listener of [...listeners]) listener(state);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Return selector(state), and render again when it returns another value. */
export function useStore(store, selector) {
  const [, renderAgain] = useState(0);
  const latest = useRef({});
  const selected = selector(store.get());
  latest.current = { selector, selected };
  useEffect(() => {
    const check = () => {
      const { selector, selected } = latest.current;
      if (selector(store.get()) !== selected) renderAgain((count) => count + 1);
    };
    check(); // the state may have changed between rendering and this effect
    return store.subscribe(check);
  }, [store]);
  return selected;
}
