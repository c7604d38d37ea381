// The first page inside a client: what waits for the reader, what is going on, what went wrong, what was done.
import { useEffect } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { StateBadge } from "./badges.jsx";
import { Skeleton } from "./feedback.jsx";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { ChangeCounts } from "./plan_counts.jsx";
import { Ago } from "./time.jsx";

function Line({ item }) {
  const text = useText();
  return (
    <li>
      <Link className="os-home-line" to={item.href}>
        {item.state ? <StateBadge state={item.state} plain /> : <Icon name="shield-check" size={14} />}
        <span className="os-home-words">
          <span className="os-truncate">{item.title}</span>
          <span className="os-muted os-truncate">
            {item.what && item.what !== "run" ? `${text(`run.kind_${item.what}`)} · ` : ""}
            {item.detail}
          </span>
        </span>
        <ChangeCounts counts={item.summary} />
        <span className="os-muted os-tiny">
          <Ago at={item.at} />
        </span>
      </Link>
    </li>
  );
}

function Section({ name, icon, items, more, loaded }) {
  const text = useText();
  return (
    <section className="os-panel" data-section={name}>
      <div className="os-panel-head">
        <h2>
          <Icon name={icon} size={14} /> {text(`home.${name}`)}
        </h2>
        {more && items?.length ? (
          <Link className="os-link os-tiny" to={more}>
            {text("home.all")}
          </Link>
        ) : null}
      </div>
      {!loaded ? (
        <Skeleton rows={3} />
      ) : items.length ? (
        <ul className="os-plain">
          {items.map((item) => (
            <Line key={item.id} item={item} />
          ))}
        </ul>
      ) : (
        <p className="os-home-none">{text(`home.${name}_none`)}</p>
      )}
    </section>
  );
}

function Welcome() {
  const text = useText();
  const { client } = useParams();
  return (
    <section className="os-panel os-welcome">
      <h2>{text("home.welcome")}</h2>
      <p className="os-muted os-small">{text("home.welcome_help")}</p>
      <p className="os-line">
        <Link className="os-button" data-kind="primary" to={`/c/${client}/workflows?new=1`}>
          <Icon name="plus" size={14} />
          {text("workflows.new")}
        </Link>
        <Link className="os-button" to={`/c/${client}/connections`}>
          <Icon name="plug" size={14} />
          {text("nav.connections")}
        </Link>
      </p>
    </section>
  );
}

/** The page's content. */
export function Home({ drifting = [], waiting = [], going = [], failed = [], recent = [], loaded }) {
  const { client } = useParams();
  const runs = `/c/${client}/runs`;
  const empty = loaded && [waiting, going, failed, recent].every((items) => items.length === 0);
  return (
    <>
      {empty ? <Welcome /> : null}
      <div className="os-home">
        {drifting.length ? <Section name="drifting" icon="triangle-alert" items={drifting} more={`/c/${client}/triggers`} loaded={loaded} /> : null}
        <Section name="waiting" icon="shield-check" items={waiting} more={`/c/${client}/approvals`} loaded={loaded} />
        <Section name="going" icon="play" items={going} more={`${runs}?state=running`} loaded={loaded} />
        <Section name="failed" icon="circle-x" items={failed} more={`${runs}?state=failed&since=day`} loaded={loaded} />
        <Section name="recent" icon="history" items={recent} more={runs} loaded={loaded} />
      </div>
    </>
  );
}

const RECENT = "opsloom.recent";

/** Goes on to where the reader was last: the client they were in, the only one they have, or the list of all. */
export function Landing({ clients = [], known }) {
  const navigate = useNavigate();
  useEffect(() => {
    if (!known) return;
    const slugs = clients.map((client) => client.slug);
    let recent = [];
    try {
      recent = JSON.parse(window.localStorage.getItem(RECENT) ?? "[]");
    } catch {
      // Without storage there is no last client.
    }
    const last = recent.find((slug) => slugs.includes(slug)) ?? (slugs.length === 1 ? slugs[0] : null);
    navigate(last ? `/c/${last}` : "/clients", { replace: true });
  }, [known, clients]);
  return <Skeleton rows={6} />;
}
