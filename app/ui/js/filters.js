// What a reader looks for in a list, where the server does the looking.
import { useEffect, useRef, useState } from "react";

const TYPING_MS = 250;

const inOrder = (filters) => JSON.stringify(Object.entries(filters).sort());

/** What the reader chose last, ahead of the server's answer: one choice after another adds up, however fast. Gives the
 * filters and a function that changes some of them. */
export function useFilters(active, onFilter) {
  const [ahead, setAhead] = useState(null);
  const latest = useRef(active);
  const said = inOrder(active);
  useEffect(() => {
    if (ahead !== null && said !== inOrder(ahead)) return;
    latest.current = active;
    setAhead(null);
  }, [said, ahead]);
  const choose = (changes) => {
    const next = Object.fromEntries(Object.entries({ ...latest.current, ...changes }).filter(([, value]) => value));
    latest.current = next;
    setAhead(next);
    onFilter?.(next);
  };
  return [ahead ?? active, choose];
}

/** What stands in the search box, and a function that changes it. Where the server searches, for the filter `remote`, it
 * is asked at the first pause in typing. */
export function useWords(remote, wanted, choose) {
  const [words, setWords] = useState("");
  const timer = useRef(null);
  const mine = useRef("");
  const asked = remote ? (wanted[remote] ?? "") : "";
  // From elsewhere: the address, a saved view, "clear". What is being typed is left alone.
  useEffect(() => {
    if (!remote || asked === mine.current) return;
    clearTimeout(timer.current);
    mine.current = asked;
    setWords(asked);
  }, [asked]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (next) => {
    setWords(next);
    if (!remote) return;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      mine.current = next.trim();
      choose({ [remote]: mine.current });
    }, TYPING_MS);
  };
  return [words, type];
}
