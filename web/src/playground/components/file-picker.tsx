// A hidden file field that a visible button opens.

import type { JSX, RefObject } from "preact";
import { useRef } from "preact/hooks";

interface Picker {
  field: RefObject<HTMLInputElement | null>;
  open(): void;
}

export function useFilePicker(): Picker {
  const field = useRef<HTMLInputElement>(null);
  return { field, open: () => field.current?.click() };
}

interface FilePickerProps {
  picker: Picker;
  label: string;
  accept: string;
  chosen(file: File): void;
}

export function FilePicker({ picker, label, accept, chosen }: FilePickerProps): JSX.Element {
  return (
    <input
      ref={picker.field}
      class="visually-hidden"
      type="file"
      accept={accept}
      tabIndex={-1}
      aria-label={label}
      onChange={(event) => {
        const file = event.currentTarget.files?.[0];
        event.currentTarget.value = ""; // so that the same file can be chosen again
        if (file !== undefined) chosen(file);
      }}
    />
  );
}
