// What stands in a page's place when rendering it fails.
import { Component } from "react";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";

function Broken() {
  const text = useText();
  return (
    <div className="os-empty" role="alert">
      <Icon name="triangle-alert" size={28} />
      <h2>{text("frame.broken")}</h2>
      <p>{text("frame.broken_help")}</p>
      <button type="button" className="os-button" data-kind="primary" onClick={() => window.location.reload()}>
        {text("frame.reload")}
      </button>
    </div>
  );
}

/** Catches what its children throw while rendering. React logs the error to the console itself. */
export class Boundary extends Component {
  state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  render() {
    return this.state.broken ? <Broken /> : this.props.children;
  }
}
