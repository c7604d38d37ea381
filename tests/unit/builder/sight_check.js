// What the canvas shows of drawings of several sizes: run by bun, which prints the failures as JSON.
import { beginning, including, overview } from "../../../app/builder/js/sight.js";

const failures = [];
const check = (says, holds) => { if (!holds) failures.push(says); };
const at = (x, y = 0) => ({ id: `${x},${y}`, position: { x, y } });
const grid = (columns, rows) => Array.from({ length: columns * rows }, (_, i) => at((i % columns) * 320, Math.floor(i / columns) * 128));
const ROOMS = { wide: { width: 1168, height: 852 }, panel: { width: 748, height: 852 }, phone: { width: 390, height: 700 } };
const place = (node, view) => ({ left: node.position.x * view.zoom + view.x, top: node.position.y * view.zoom + view.y });
const seen = (node, view, box) => {
  const { left, top } = place(node, view);
  return left >= 0 && top >= 0 && left + 224 * view.zoom <= box.width && top + 64 * view.zoom <= box.height;
};

for (const [name, box] of Object.entries(ROOMS)) {
  for (const [columns, rows] of [[1, 1], [2, 1], [8, 1], [1, 30], [20, 20]]) {
    const nodes = grid(columns, rows);
    const says = `${columns} x ${rows} in ${name}`;
    const start = beginning(nodes, box);
    check(`${says}: it begins in a size that can be read`, start.zoom >= 0.8 && start.zoom <= 1);
    check(`${says}: the first step is in sight`, seen(nodes[0], start, box));
    const whole = overview(nodes, box);
    check(`${says}: the overview has all`, nodes.every((node) => seen(node, whole, box)));
    const last = including([nodes.at(-1)], box, start);
    check(`${says}: the step that is asked for comes into sight`, seen(nodes.at(-1), last, box) && last.zoom >= 0.8);
    check(`${says}: what is in sight moves nothing`, including([nodes.at(-1)], box, last) === last);
  }
}
check("nothing drawn", beginning([], ROOMS.wide).zoom === 1);

console.log(JSON.stringify(failures));
