// The frame around every page: sidebar, client's band, header, bottom bar.
import { createContext, useContext, useEffect, useState } from "react";
import { Link, useLocation, useParams } from "react-router";
import { Dialog } from "@radix-ui/themes";
import { useTheme } from "$/utils/react-theme";
import { AccountMenu, AccountRow } from "./account.jsx";
import { Gate, LostConnection, Refusal, Skeleton, Toasts } from "./feedback.jsx";
import { hasChosenLocale, setLocale, useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { openPalette, Palette } from "./palette.jsx";
import { colourOf, Mark, Switcher } from "./switcher.jsx";

const CLOSED = "opsloom.sidebar";

// The client that the page is about, for the header inside the frame.
const Here = createContext({});

const address = (place, client) => place.path.replace("{client}", client ?? "");

function isHere(place, client, pathname) {
  const path = address(place, client);
  return pathname === path || (place.within !== false && pathname.startsWith(`${path}/`));
}

function useSidebar() {
  const [closed, setClosed] = useState(false);
  useEffect(() => setClosed(window.localStorage.getItem(CLOSED) === "closed"), []);
  const toggle = () =>
    setClosed((now) => {
      window.localStorage.setItem(CLOSED, now ? "open" : "closed");
      return !now;
    });
  return [closed, toggle];
}

// What the account chose elsewhere is taken over in a browser where nothing was chosen yet.
function usePreferences(me) {
  const { setTheme } = useTheme();
  useEffect(() => {
    if (me?.locale && !hasChosenLocale()) setLocale(me.locale, { remember: false });
    if (me?.theme && !window.localStorage.getItem("opsloom.theme_known")) {
      window.localStorage.setItem("opsloom.theme_known", "1");
      setTheme(me.theme);
    }
  }, [me?.locale, me?.theme]);
}

function NavItem({ place, client, pathname, count, closed, onClick }) {
  const text = useText();
  const words = text(place.key);
  return (
    <Link
      className="os-nav-item"
      to={address(place, client)}
      aria-current={isHere(place, client, pathname) ? "page" : undefined}
      aria-label={closed ? words : undefined}
      title={closed ? words : undefined}
      onClick={onClick}
    >
      <Icon name={place.icon} />
      <span>{words}</span>
      {count ? <span className="os-count os-figures">{count > 99 ? "99+" : count}</span> : null}
    </Link>
  );
}

function Sidebar({ places, client, counts, clients, here, coming, me, signOut, onPreference, closed, onToggle }) {
  const text = useText();
  const { pathname } = useLocation();
  const shown = places.filter((place) => !place.client || client);
  const item = (place) => (
    <NavItem key={place.id} {...{ place, client, pathname, closed }} count={counts?.[place.id]} />
  );
  return (
    <aside className="os-sidebar">
      <Switcher clients={clients} here={here} coming={coming} />
      <nav className="os-nav" aria-label={text("nav.label")}>
        {shown.filter((place) => !place.foot).map(item)}
      </nav>
      <div className="os-nav-foot">
        {shown.filter((place) => place.foot).map(item)}
        <button type="button" className="os-nav-item" onClick={onToggle} aria-expanded={!closed}>
          <Icon name={closed ? "panel-left-open" : "panel-left-close"} />
          <span>{text(closed ? "nav.open" : "nav.close")}</span>
        </button>
        <AccountRow me={me} signOut={signOut} onPreference={onPreference} />
      </div>
    </aside>
  );
}

function MorePlaces({ places, client, pathname, counts, clients, here, coming, onClose }) {
  const text = useText();
  return (
    <Dialog.Content className="os-sheet" aria-describedby={undefined}>
      <Dialog.Title className="os-hidden">{text("nav.more")}</Dialog.Title>
      <Switcher clients={clients} here={here} coming={coming} />
      {places.map((place) => (
        <NavItem key={place.id} {...{ place, client, pathname }} count={counts?.[place.id]} onClick={onClose} />
      ))}
    </Dialog.Content>
  );
}

function BottomBar({ places, client, counts, clients, here, coming, me, signOut, onPreference }) {
  const text = useText();
  const { pathname } = useLocation();
  const [more, setMore] = useState(false);
  const shown = places.filter((place) => !place.client || client);
  const first = shown.filter((place) => place.phone).slice(0, 3);
  const rest = shown.filter((place) => !first.includes(place));
  return (
    <nav className="os-bottom" aria-label={text("nav.label")}>
      {first.map((place) => (
        <Link
          key={place.id}
          to={address(place, client)}
          aria-current={isHere(place, client, pathname) ? "page" : undefined}
        >
          <Icon name={place.icon} size={20} />
          <span className="os-truncate">{text(place.key)}</span>
          {counts?.[place.id] ? <span className="os-count os-figures">{counts[place.id]}</span> : null}
        </Link>
      ))}
      <Dialog.Root open={more} onOpenChange={setMore}>
        <Dialog.Trigger>
          <button type="button">
            <Icon name="menu" size={20} />
            <span>{text("nav.more")}</span>
          </button>
        </Dialog.Trigger>
        <MorePlaces {...{ places: rest, client, pathname, counts, clients, here, coming }} onClose={() => setMore(false)} />
      </Dialog.Root>
      <AccountMenu me={me} signOut={signOut} onPreference={onPreference}>
        <button type="button">
          <Mark name={me.name || me.email || ""} size={20} colour="var(--gray-9)" />
          <span className="os-truncate">{text("account.short")}</span>
        </button>
      </AccountMenu>
    </nav>
  );
}

// The client that the address names, and whether the page holds what belongs to this address. After a change of client
// the server's word still is about the one before for a moment: nobody may take the one for the other.
function useArrival({ here, clients, shownFor }) {
  const { client } = useParams();
  const { pathname } = useLocation();
  if (!client) return { client, known: {}, arrived: true };
  const known = [here, ...clients].find((one) => one?.slug === client) ?? {};
  const address = pathname.replace(/\/+$/, "");
  return { client, known, arrived: here?.slug === client && Object.values(shownFor).includes(address) };
}

// What stands in a page's place until it has come.
function Coming() {
  return (
    <>
      <header className="os-header" />
      <div className="os-content">
        <Skeleton rows={8} />
      </div>
    </>
  );
}

/** The frame. `places` are the pages there are; `gate` says why the page cannot be shown, if it cannot. */
export function Frame({
  me = {}, here = {}, clients = [], counts = {}, notices = [], gate = "", shownFor = {}, places = [], found = {}, signOut,
  onPreference, onAsk, children,
}) {
  const { client, known, arrived } = useArrival({ here, clients, shownFor });
  const [closed, toggle] = useSidebar();
  usePreferences(me);
  useEffect(() => document.documentElement.classList.remove("os-wait"), []);
  const refused = gate === "forbidden" || gate === "not_found";
  const coming = Boolean(client) && !known.slug && !refused;
  const waiting = here?.slug === client ? counts : {};
  // A client that is not there has no places to go to either.
  const entered = known.slug || coming ? client : undefined;
  const shared = { places, client: entered, counts: waiting, clients, here: known, coming, me, signOut, onPreference };
  return (
    <div className="os-frame" data-closed={closed} style={{ "--os-client": client ? colourOf(known.colour) : undefined }}>
      <Sidebar {...shared} closed={closed} onToggle={toggle} />
      <main className="os-main" aria-busy={!arrived && !refused}>
        <div className="os-band" />
        <LostConnection />
        {refused ? <Refusal why={gate} /> : arrived ? <Here.Provider value={known}>{children}</Here.Provider> : <Coming />}
      </main>
      <BottomBar {...shared} />
      <Palette places={places} clients={clients} found={found} onAsk={onAsk} />
      <Toasts notices={notices} />
      <Gate gate={gate} />
    </div>
  );
}

/** The thin header: where one is (`crumbs`: label and href), the page's `title`, and its actions as children. */
export function Header({ title, crumbs = [], children }) {
  const text = useText();
  const here = useContext(Here);
  useEffect(() => {
    document.title = title ? `${title} · Opsloom` : "Opsloom";
  }, [title]);
  return (
    <header className="os-header">
      {here?.slug ? (
        <span className="os-narrow-only" title={here.name}>
          <Mark name={here.name} colour={here.colour} />
        </span>
      ) : null}
      <div className="os-crumbs">
        {crumbs.map((crumb) => (
          <span key={crumb.href} className="os-crumb">
            <Link to={crumb.href}>{crumb.label}</Link>
            <Icon name="chevron-right" size={13} />
          </span>
        ))}
        <h1>{title}</h1>
      </div>
      <div className="os-actions">{children}</div>
      <button type="button" className="os-search" onClick={openPalette} aria-label={text("palette.title")}>
        <Icon name="search" size={14} />
        <span>{text("common.search")}</span>
        <kbd className="os-key">Ctrl K</kbd>
      </button>
    </header>
  );
}
