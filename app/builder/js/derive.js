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

export const errorsIn = (problems) => problems.filter((problem) => problem.severity !== "warning");
