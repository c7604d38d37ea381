// Which client one works for: search, favourites, recent ones, tags.
import { useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useNavigate } from "react-router";
import { Popover } from "@radix-ui/themes";
import { Icon } from "./icons.jsx";
import { useText } from "./i18n.js";

const FAVOURITES = "opsloom.favourites";
const RECENT = "opsloom.recent";
const MOST_RECENT = 5;

const stored = (key) => {
  try {
    return JSON.parse(window.localStorage.getItem(key) ?? "[]");
  } catch {
    return [];
  }
};
const store = (key, value) => window.localStorage.setItem(key, JSON.stringify(value));

// Names that a client's colour may have and Radix's palette calls otherwise.
const ALIASES = { rose: "ruby", slate: "gray" };

/** A client's colour, by name, as CSS. */
export const colourOf = (name) => (name ? (name.startsWith("var(") ? name : `var(--${ALIASES[name] ?? name}-9)`) : undefined);

/** The client's initials on its colour. */
export function Mark({ name = "", colour, size }) {
  const letters = name
    .split(/\s+/)
    .filter(Boolean)
    .slice(0, 2)
    .map((word) => word[0].toUpperCase())
    .join("");
  const style = { "--os-mark": colourOf(colour), ...(size ? { width: size, height: size } : {}) };
  return (
    <span className="os-mark" style={style} aria-hidden="true">
      {letters}
    </span>
  );
}

/** The address of the same section for another client. */
export function sameSection(path, slug) {
  const section = path.match(/^\/c\/[^/]+\/([^/]+)/)?.[1];
  return section ? `/c/${slug}/${section}` : `/c/${slug}`;
}

function sections(clients, wanted, favourites, recent) {
  const fits = (client) =>
    [client.name, client.slug, ...(client.tags ?? [])].some((word) => word.toLowerCase().includes(wanted));
  if (wanted) return [["", clients.filter(fits)]];
  const of = (slugs) => slugs.map((slug) => clients.find((client) => client.slug === slug)).filter(Boolean);
  const named = new Set([...favourites, ...recent]);
  return [
    ["switcher.favourites", of(favourites)],
    ["switcher.recent", of(recent.filter((slug) => !favourites.includes(slug)))],
    ["switcher.all", clients.filter((client) => !named.has(client.slug))],
  ].filter(([, found]) => found.length > 0);
}

function Choice({ client, active, favourite, onChoose, onStar, onHover, text }) {
  return (
    <div className="os-choice" data-active={active} role="option" aria-selected={active} onMouseMove={onHover}>
      <button type="button" className="os-choice-main" tabIndex={-1} onClick={onChoose}>
        <Mark name={client.name} colour={client.colour} size={22} />
        <span className="os-truncate">{client.name}</span>
        {client.is_msp ? <span className="os-tiny os-muted">{text("switcher.msp")}</span> : null}
        {(client.tags ?? []).slice(0, 2).map((tag) => (
          <span key={tag} className="os-chip-mini">
            {tag}
          </span>
        ))}
      </button>
      <button
        type="button"
        className="os-icon-button"
        tabIndex={-1}
        data-on={favourite}
        aria-label={text(favourite ? "switcher.unstar" : "switcher.star", { name: client.name })}
        onClick={onStar}
      >
        <Icon name="star" size={14} fill={favourite ? "currentColor" : "none"} />
      </button>
    </div>
  );
}

function Choices({ clients, here, onDone }) {
  const text = useText();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const [wanted, setWanted] = useState("");
  const [favourites, setFavourites] = useState(() => stored(FAVOURITES));
  const [active, setActive] = useState(0);
  const list = useRef(null);
  const recent = useMemo(() => stored(RECENT).filter((slug) => slug !== here), [here]);
  const found = sections(clients, wanted.trim().toLowerCase(), favourites, recent);
  const flat = found.flatMap(([, group]) => group);
  useEffect(() => {
    list.current?.querySelector('[data-active="true"]')?.scrollIntoView({ block: "nearest" });
  }, [active]);
  const choose = (client) => {
    onDone();
    navigate(sameSection(pathname, client.slug));
  };
  const star = (slug) => {
    const next = favourites.includes(slug) ? favourites.filter((one) => one !== slug) : [...favourites, slug];
    store(FAVOURITES, next);
    setFavourites(next);
  };
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setActive((now) => Math.max(0, Math.min(flat.length - 1, now + step)));
    else if (event.key === "Enter" && flat[active]) choose(flat[active]);
    else return;
    event.preventDefault();
  };
  let index = -1;
  return (
    <div onKeyDown={onKeyDown}>
      <input
        className="os-input os-choices-search"
        placeholder={text("switcher.search")}
        aria-label={text("switcher.search")}
        value={wanted}
        autoFocus
        onChange={(event) => {
          setWanted(event.target.value);
          setActive(0);
        }}
      />
      <div className="os-choices" role="listbox" aria-label={text("switcher.clients")} ref={list}>
        {found.map(([title, group]) => (
          <div key={title}>
            {title ? <div className="os-choices-title">{text(title)}</div> : null}
            {group.map((client) => {
              index += 1;
              const place = index;
              return (
                <Choice
                  key={client.slug}
                  client={client}
                  active={place === active}
                  favourite={favourites.includes(client.slug)}
                  text={text}
                  onHover={() => setActive(place)}
                  onChoose={() => choose(client)}
                  onStar={() => star(client.slug)}
                />
              );
            })}
          </div>
        ))}
        {flat.length === 0 ? <div className="os-choices-none">{text("switcher.none", { wanted })}</div> : null}
      </div>
      <button
        type="button"
        className="os-nav-item os-choices-foot"
        onClick={() => {
          onDone();
          navigate("/clients");
        }}
      >
        <Icon name="building" />
        <span>{text("switcher.overview")}</span>
      </button>
    </div>
  );
}

/** The client switcher. `clients` are those one may enter; `here` is the page's, if any, or not known yet: `coming`. */
export function Switcher({ clients = [], here, coming = false }) {
  const text = useText();
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (!here?.slug) return;
    store(RECENT, [here.slug, ...stored(RECENT).filter((slug) => slug !== here.slug)].slice(0, MOST_RECENT));
  }, [here?.slug]);
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger>
        <button type="button" className="os-switch" aria-label={text("switcher.label")}>
          {here?.slug ? <Mark name={here.name} colour={here.colour} /> : <Icon name="building" size={20} />}
          <span className="os-switch-name">
            {coming ? (
              <span className="os-skeleton" />
            ) : (
              <>
                <span className="os-truncate">{here?.slug ? here.name : text("switcher.choose")}</span>
                <small className="os-truncate">{here?.role ? text(`role.${here.role}`) : text("switcher.none_chosen")}</small>
              </>
            )}
          </span>
          <span className="os-switch-more">
            <Icon name="chevrons-up-down" size={14} />
          </span>
        </button>
      </Popover.Trigger>
      <Popover.Content className="os-popover" width="300px" align="start" sideOffset={4}>
        <Choices clients={clients} here={here?.slug} onDone={() => setOpen(false)} />
      </Popover.Content>
    </Popover.Root>
  );
}
