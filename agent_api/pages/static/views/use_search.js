import { useEffect, useRef, useState } from "../html.js";

const DELAY_MS = 250;
const NOTHING = { results: null, next: null, error: null, loading: false };

/** Search when the user has stopped typing. Earlier results stay until the new ones have arrived. */
export function useSearch(api, q, archived) {
  const [state, setState] = useState(NOTHING);
  const request = useRef(null);

  const ask = async (cursor, before) => {
    request.current?.abort();
    request.current = new AbortController();
    const { signal } = request.current;
    setState((current) => ({ ...current, error: null, loading: true }));
    try {
      // The next page is the same request with `cursor`. The answer does not say how many messages match.
      const { data } = await api.search({ q, archived: archived ? "all" : "false", limit: 20, cursor, signal });
      setState({ results: [...before, ...data.results], next: data.next_cursor, error: null, loading: false });
    } catch (error) {
      if (!signal.aborted) setState({ ...NOTHING, error });
    }
  };

  useEffect(() => {
    if (!q) {
      setState(NOTHING);
      return undefined;
    }
    const timer = setTimeout(() => ask(undefined, []), DELAY_MS);
    return () => {
      clearTimeout(timer);
      request.current?.abort();
    };
  }, [api, q, archived]);

  return { ...state, more: () => state.loading || ask(state.next, state.results) };
}
