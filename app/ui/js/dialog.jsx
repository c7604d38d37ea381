// A dialog with a title, what it says, and its buttons. Esc leaves; where something typed would be lost it asks first.
import { Dialog } from "@radix-ui/themes";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";

/** A dialog that is open while `open` is true. `dirty` makes leaving ask first. */
export function Modal({ open, title, onClose, children, width = "520px", dirty = false }) {
  const text = useText();
  const leave = (next) => {
    if (!next && (!dirty || window.confirm(text("dialog.lose")))) onClose();
  };
  return (
    <Dialog.Root open={open} onOpenChange={leave}>
      <Dialog.Content className="os-dialog" maxWidth={width} aria-describedby={undefined}>
        <div className="os-dialog-head">
          <Dialog.Title className="os-dialog-title">{title}</Dialog.Title>
          <button type="button" className="os-icon-button" aria-label={text("common.close")} onClick={() => leave(false)}>
            <Icon name="x" />
          </button>
        </div>
        {children}
      </Dialog.Content>
    </Dialog.Root>
  );
}

/** The question before something that cannot simply be taken back: its button says the effect. */
export function Confirm({ open, title, children, effect, danger = true, onConfirm, onClose, more }) {
  const text = useText();
  return (
    <Modal open={open} title={title} onClose={onClose} width="460px">
      <div className="os-dialog-body">{children}</div>
      <div className="os-form-foot">
        <button type="button" className="os-button" onClick={onClose}>
          {text("common.cancel")}
        </button>
        {more}
        <button
          type="button"
          className="os-button"
          data-kind={danger ? "danger" : "primary"}
          onClick={() => {
            onClose();
            onConfirm();
          }}
        >
          {effect}
        </button>
      </div>
    </Modal>
  );
}
