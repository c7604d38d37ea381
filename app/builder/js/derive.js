import { getIn, same } from "./document.js";

// Views of the state that many cards read, worked out once for each state and not once for each card.
function once(work) {
  const known = new WeakMap();
  return (source) => {
    if (!source) return work(null);
    if (!known.has(source)) known.set(source, work(source));
    return known.get(source);
  };
}

const NONE = Object.freeze([]);

export const takenPorts = once((edges) => new Set(Object.values(edges ?? {}).map((e) => `${e.source}|${e.port || "next"}`)));

const groupedBy = (nameOf) =>
  once((problems) => {
    const found = new Map();
    for (const problem of problems ?? []) {
      const name = nameOf(problem);
      if (name) found.set(name, [...(found.get(name) ?? []), problem]);
    }
    return found;
  });

const grouped = groupedBy((problem) => problem.node);
// The server names a step inside another `holder.step`.
const held = groupedBy((problem) => problem.node?.split(".")[0]);

export const problemsOf = (state, id) => grouped(state.problems).get(id) ?? NONE;

/** A drawn step's problems with those of the steps inside it. */
export const problemsIn = (state, id) => held(state.problems).get(id) ?? NONE;

const byNode = once((steps) => new Map((steps ?? []).map((step) => [step.node, step])));

export const plannedOf = (state, id) => byNode(state.plan?.steps).get(id) ?? null;

/** The parameter, or the part of a step, that a problem speaks of. */
export function fieldOf(problem) {
  const name = problem.field ?? "";
  return name.startsWith("params.") ? name.slice(7).split(/[.[]/)[0] : name;
}

const placeOf = (problem) => `${problem.node}|${fieldOf(problem)}`;
const valueIn = (doc, problem) => getIn(doc, ["nodes", problem.node, "params", fieldOf(problem)]);
const isChanged = (doc, checkedDoc, problem) => !same(valueIn(doc, problem), valueIn(checkedDoc, problem));

/**
 * Whether a field had better not say this problem yet: when the check that found it came, the field held something else
 * already, and had said nothing before. The next check is on its way.
 */
export const isEarly = (state, problem) => state.overtaken.has(problem) && isChanged(state.doc, state.checkedDoc, problem);

/** What a check of the draft changes. A check of a revision that is no longer the last is measured by an older draft. */
export function checked(state, problems, revision) {
  const said = new Set(state.problems.filter((problem) => !isEarly(state, problem)).map(placeOf));
  const checkedDoc = revision === state.revision ? state.confirmed : state.checkedDoc;
  const isOvertaken = (problem) => !said.has(placeOf(problem)) && isChanged(state.doc, checkedDoc, problem);
  return { problems, checkedRevision: revision, checkedDoc, overtaken: new Set(problems.filter(isOvertaken)) };
}

export const errorsIn = (problems) => problems.filter((problem) => problem.severity !== "warning");
