// What a reader chose for a list: order, columns, saved views. It stays in the browser.
import { useEffect, useState } from "react";

const storageKey = (name) => `opsloom.table.${name}`;

function stored(name) {
  try {
    return JSON.parse(window.localStorage.getItem(storageKey(name)) ?? "{}");
  } catch {
    return {};
  }
}

/** The present view of the list `name` and a function that changes parts of it. */
export function useView(name, columns) {
  const byDefault = Object.fromEntries(columns.filter((column) => column.hidden).map((column) => [column.id, false]));
  const [view, setView] = useState({ sorting: [], hidden: byDefault, saved: [] });
  useEffect(() => {
    const found = stored(name);
    setView((now) => ({ ...now, ...found, hidden: { ...byDefault, ...found.hidden } }));
  }, [name]);
  const change = (part) =>
    setView((now) => {
      const next = { ...now, ...part };
      window.localStorage.setItem(storageKey(name), JSON.stringify(next));
      return next;
    });
  return [view, change];
}
