// Single-key shortcuts can be switched off (WCAG 2.1.4); they never act while someone types.
import { useSyncExternalStore } from "react";

const STORAGE_KEY = "opsloom.single_keys";
const listeners = new Set();

/** Whether shortcuts of one key are on in this browser. */
export function singleKeysOn() {
  try {
    return window.localStorage.getItem(STORAGE_KEY) !== "off";
  } catch {
    return true;
  }
}

/** The switch and its setter, as a hook. */
export function useSingleKeys() {
  const on = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    singleKeysOn,
    () => true,
  );
  const set = (next) => {
    window.localStorage.setItem(STORAGE_KEY, next ? "on" : "off");
    listeners.forEach((listener) => listener());
  };
  return [on, set];
}

/** Whether an event comes from a place where people type. */
export function isTyping(event) {
  const target = event.target;
  return target?.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target?.tagName);
}
