import type { ReactElement, ReactNode } from "react";
import { Dialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { PressButton } from "./PressButton";

interface ConfirmDialogProps {
  readonly open: boolean;
  readonly title: string;
  readonly text: string;
  readonly confirm: string;
  readonly cancel: string;
  readonly onConfirm: () => void;
  readonly onCancel: () => void;
  /** Another way out: a button. */
  readonly children?: ReactNode;
}

/** Asks before something that can't be taken back. The focus starts at the harmless answer. */
export function ConfirmDialog(props: ConfirmDialogProps): ReactElement {
  const { open, title, text, confirm, cancel, onConfirm, onCancel, children } = props;
  return (
    <ModalOverlay
      className="modal-ground"
      isOpen={open}
      isDismissable
      onOpenChange={(stays) => {
        if (!stays) onCancel();
      }}
    >
      <Modal className="modal">
        <Dialog className="dialog" role="alertdialog">
          <Heading slot="title" level={2}>
            {title}
          </Heading>
          <p>{text}</p>
          <div className="dialog-buttons">
            <PressButton onPress={onCancel} autoFocus>
              {cancel}
            </PressButton>
            <PressButton look="berry" onPress={onConfirm}>
              {confirm}
            </PressButton>
            {children}
          </div>
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
