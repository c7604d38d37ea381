// What is open on a page stands in its address, so that it survives a reload, can be linked to, and Back closes it.
import { useNavigate, useSearchParams } from "react-router";

/** A part of the address's query, and a function that changes parts of it (null takes one away). */
export function useQueryPart(name) {
  const [query] = useSearchParams();
  const change = useQueryChange();
  return [query.get(name), (value) => change({ [name]: value })];
}

/** A function that changes parts of the address's query. */
export function useQueryChange() {
  const navigate = useNavigate();
  return (parts) => {
    const query = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries(parts)) {
      if (value === null || value === undefined || value === "") query.delete(name);
      else query.set(name, value);
    }
    const words = query.toString();
    navigate(words ? `?${words}` : window.location.pathname, { preventScrollReset: true });
  };
}

/** The server's word for "no problem" is an empty object. */
export const given = (problem) => (problem && Object.keys(problem).length ? problem : null);
