// A small store: one immutable state, read by React components through selectors.
import { createContext, useContext, useRef, useSyncExternalStore } from "react";

export function createStore(initial) {
  let state = initial;
  const listeners = new Set();
  return {
    get: () => state,
    set(change) {
      const patch = typeof change === "function" ? change(state) : change;
      if (!patch || Object.keys(patch).every((key) => Object.is(patch[key], state[key]))) return;
      state = { ...state, ...patch };
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export const BuilderContext = createContext(null);

// Everything components call: {store, edits, send, ...}. It never changes, so it never causes a render.
export const useBuilder = () => useContext(BuilderContext);

export function useSelect(selector, equal = Object.is) {
  const { store } = useBuilder();
  const last = useRef();
  const read = () => {
    const next = selector(store.get());
    if (last.current !== undefined && equal(last.current, next)) return last.current;
    last.current = next;
    return next;
  };
  return useSyncExternalStore(store.subscribe, read, read);
}
