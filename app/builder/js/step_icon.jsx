// The icon of a step type. Which there are is known when the front end is built: the catalogue names them.
import { Icon } from "./shared.js";
import { useBuilder } from "./store.js";

export function StepIcon({ info, size = 16 }) {
  const { icons } = useBuilder();
  const Shape = icons?.[info?.icon];
  return Shape ? <Shape size={size} strokeWidth={1.75} aria-hidden="true" /> : <Icon name={info ? "box" : "help"} size={size} />;
}
