import { part } from '../dom.ts';

/** Called with every incoming file; `null` if the drop or paste contains none. */
type Take = (file: File | null) => void;

/** A drag has ended after this long without `dragover`, which fires at least every 350 ms (HTML standard). */
const overMs = 1000;

/** Takes files dropped anywhere on the page, and shows a drop hint while a file is dragged over it. */
export function watchDrop(take: Take): void {
  let quiet: number | undefined;
  const show = (over: boolean) => {
    window.clearTimeout(quiet);
    document.body.classList.toggle('dragging', over);
    // not every cancelled drag fires an event
    if (over) quiet = window.setTimeout(show, overMs, false);
  };
  let ownDrag = false; // a drag that began on the page, e.g. of a result's cover, is not an upload
  document.addEventListener('dragstart', () => (ownDrag = true));
  document.addEventListener('dragend', () => (ownDrag = false));
  const isPicture = (event: DragEvent) => !ownDrag && mayHoldPicture(event.dataTransfer);
  for (const type of ['dragenter', 'dragover'] as const)
    document.addEventListener(type, (event) => {
      if (!isPicture(event)) return;
      event.preventDefault(); // otherwise the browser rejects the drop
      show(true);
    });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) show(false); // the pointer left the window
  });
  document.addEventListener('drop', (event) => {
    show(false);
    if (!isPicture(event)) return;
    event.preventDefault(); // otherwise the browser navigates to the file
    take(firstPicture(event.dataTransfer?.files));
  });
}

/** A link may be a picture from another site. It can't be read, but must not make the browser leave the page. */
const mayHoldPicture = (transfer: DataTransfer | null): boolean =>
  transfer?.types.some((type) => type === 'Files' || type === 'text/uri-list') ?? false;

/** Takes pictures pasted anywhere; pasted text still goes into its field. */
export function watchPaste(take: Take): void {
  document.addEventListener('paste', (event) => {
    const files = event.clipboardData?.files;
    if (!files || files.length === 0) return;
    event.preventDefault();
    take(firstPicture(files));
  });
}

/**
 * Handles the two hidden file inputs.
 *
 * @returns functions that open the file picker and the phone's camera
 */
export function watchPickers(take: Take): { pick: () => void; photograph: () => void } {
  const opener = (id: string) => {
    const input = part(id, HTMLInputElement);
    input.addEventListener('change', () => {
      const file = firstPicture(input.files);
      input.value = ''; // so that the same file can be chosen again
      if (file) take(file);
    });
    return () => {
      input.click();
    };
  };
  return { pick: opener('picture-file'), photograph: opener('photo-file') };
}

/** The first file with an image type, else the first file. */
function firstPicture(files: FileList | null | undefined): File | null {
  const list = [...(files ?? [])];
  return list.find((file) => file.type.startsWith('image/')) ?? list[0] ?? null;
}
