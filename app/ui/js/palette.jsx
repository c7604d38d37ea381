// The command palette (Ctrl+K): go anywhere, change client, find a workflow or run.
import { useEffect, useMemo, useRef, useState } from "react";
import { useNavigate, useParams } from "react-router";
import { Dialog } from "@radix-ui/themes";
import { StateBadge } from "./badges.jsx";
import { Icon } from "./icons.jsx";
import { useText } from "./i18n.js";
import { Mark } from "./switcher.jsx";
import { Ago } from "./time.jsx";

const OPEN = "opsloom:palette";
const ASK_AFTER_MS = 200;
const NONE = [];

/** Open the palette from anywhere. */
export const openPalette = () => window.dispatchEvent(new Event(OPEN));

const plain = (words) =>
  words
    .normalize("NFD")
    .replace(/\p{Diacritic}/gu, "")
    .toLowerCase();

function commands(places, clients, found, client, text) {
  const goes = places
    .filter((place) => !place.client || client)
    .map((place) => ({
      id: `go-${place.id}`,
      icon: place.icon,
      words: text(place.key),
      href: place.path.replace("{client}", client ?? ""),
      group: "palette.go",
    }));
  const items = found.map((item) => ({ ...item, id: `found-${item.href}`, words: item.title, group: "palette.found" }));
  const changes = clients.map((one) => ({
    id: `client-${one.slug}`,
    mark: one,
    words: one.name,
    href: `/c/${one.slug}`,
    group: "palette.clients",
  }));
  return [...items, ...goes, ...changes];
}

function Body({ places, clients, found, onAsk, close }) {
  const text = useText();
  const navigate = useNavigate();
  const { client } = useParams();
  const [wanted, setWanted] = useState("");
  const [active, setActive] = useState(0);
  const list = useRef(null);
  // What was found for other words, or for another client, is no answer to these.
  const rows = found.words === wanted.trim() && found.client === client ? found.rows : NONE;
  const all = useMemo(() => commands(places, clients, rows, client, text), [places, clients, rows, client, text]);
  const words = plain(wanted.trim());
  // What the server found already fits the question, also where the words stand in a field that is not shown.
  const shown = all.filter((one) => (words ? one.group === "palette.found" || plain(one.words).includes(words) : true));
  useEffect(() => {
    if (!onAsk || words.length < 2) return undefined;
    const timer = setTimeout(() => onAsk(wanted.trim()), ASK_AFTER_MS);
    return () => clearTimeout(timer);
  }, [words]);
  useEffect(() => {
    list.current?.querySelector('[data-active="true"]')?.scrollIntoView({ block: "nearest" });
  }, [active]);
  const run = (one) => {
    close();
    navigate(one.href);
  };
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setActive((now) => Math.max(0, Math.min(shown.length - 1, now + step)));
    else if (event.key === "Enter" && shown[active]) run(shown[active]);
    else return;
    event.preventDefault();
  };
  return (
    <div onKeyDown={onKeyDown}>
      <div className="os-palette-ask">
        <Icon name="search" />
        <input
          value={wanted}
          autoFocus
          placeholder={text("palette.ask")}
          aria-label={text("palette.ask")}
          onChange={(event) => {
            setWanted(event.target.value);
            setActive(0);
          }}
        />
      </div>
      <div className="os-palette-list" role="listbox" aria-label={text("palette.title")} ref={list}>
        {shown.map((one, index) => (
          <div key={one.id}>
            {shown[index - 1]?.group !== one.group ? <div className="os-choices-title">{text(one.group)}</div> : null}
            <button
              type="button"
              role="option"
              aria-selected={index === active}
              data-active={index === active}
              className="os-palette-item"
              onMouseMove={() => setActive(index)}
              onClick={() => run(one)}
            >
              {one.mark ? <Mark name={one.mark.name} colour={one.mark.colour} size={20} /> : <Icon name={one.icon} />}
              <span className="os-truncate">{one.words}</span>
              {one.state ? <StateBadge state={one.state} plain /> : null}
              {one.at ? (
                <span className="os-muted os-tiny">
                  <Ago at={one.at} />
                </span>
              ) : null}
              {index === active ? <Icon name="enter" size={13} /> : null}
            </button>
          </div>
        ))}
        {shown.length === 0 ? <div className="os-choices-none">{text("palette.none", { wanted })}</div> : null}
      </div>
    </div>
  );
}

/** The palette itself; it listens for its key. `onAsk(words)` asks the server, `found` is what it found for which words. */
export function Palette({ places, clients = [], found = {}, onAsk }) {
  const text = useText();
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const onKey = (event) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
      event.preventDefault();
      setOpen((now) => !now);
    };
    const onOpen = () => setOpen(true);
    window.addEventListener("keydown", onKey);
    window.addEventListener(OPEN, onOpen);
    return () => {
      window.removeEventListener("keydown", onKey);
      window.removeEventListener(OPEN, onOpen);
    };
  }, []);
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Content className="os-palette" maxWidth="560px" aria-describedby={undefined}>
        <Dialog.Title className="os-hidden">{text("palette.title")}</Dialog.Title>
        <Body places={places} clients={clients} found={found} onAsk={onAsk} close={() => setOpen(false)} />
      </Dialog.Content>
    </Dialog.Root>
  );
}
