import { part } from '../dom.ts';

/** Told of every picture that comes; `null` where what came holds none. */
type Take = (file: File | null) => void;

/** While something is dragged over a page, it is told so at least every 350 ms (the HTML standard). */
const overMs = 1000;

/** Files dropped anywhere on the page. While one is held over it, the page shows that it may be let go. */
export function watchDrop(take: Take): void {
  let quiet: number | undefined;
  const show = (over: boolean) => {
    window.clearTimeout(quiet);
    document.body.classList.toggle('dragging', over);
    // a drag that is given up is not always told
    if (over) quiet = window.setTimeout(show, overMs, false);
  };
  let ownDrag = false; // a cover of the results, say: nothing new comes in
  document.addEventListener('dragstart', () => (ownDrag = true));
  document.addEventListener('dragend', () => (ownDrag = false));
  const isPicture = (event: DragEvent) => !ownDrag && mayHoldPicture(event.dataTransfer);
  for (const type of ['dragenter', 'dragover'] as const)
    document.addEventListener(type, (event) => {
      if (!isPicture(event)) return;
      event.preventDefault(); // else the browser would refuse the drop
      show(true);
    });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) show(false); // not into another element: out of the window
  });
  document.addEventListener('drop', (event) => {
    show(false);
    if (!isPicture(event)) return;
    event.preventDefault(); // else the browser would leave the page for the file
    take(firstPicture(event.dataTransfer?.files));
  });
}

/** A link may stand for a picture of another site: that can't be read, but leaving the page for it would be worse. */
const mayHoldPicture = (transfer: DataTransfer | null): boolean =>
  transfer?.types.some((type) => type === 'Files' || type === 'text/uri-list') ?? false;

/** Pictures pasted anywhere; text pasted into a field goes there. */
export function watchPaste(take: Take): void {
  document.addEventListener('paste', (event) => {
    const files = event.clipboardData?.files;
    if (!files || files.length === 0) return;
    event.preventDefault();
    take(firstPicture(files));
  });
}

/**
 * The two hidden file inputs.
 *
 * @returns what opens them: a choice of files, and the phone's camera
 */
export function watchPickers(take: Take): { pick: () => void; photograph: () => void } {
  const opener = (id: string) => {
    const input = part(id, HTMLInputElement);
    input.addEventListener('change', () => {
      const file = firstPicture(input.files);
      input.value = ''; // so that the same file may be chosen again
      if (file) take(file);
    });
    return () => {
      input.click();
    };
  };
  return { pick: opener('picture-file'), photograph: opener('photo-file') };
}

/** Of several files the first picture; where none says that it is one, the first file. */
function firstPicture(files: FileList | null | undefined): File | null {
  const list = [...(files ?? [])];
  return list.find((file) => file.type.startsWith('image/')) ?? list[0] ?? null;
}
