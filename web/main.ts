import { readLink, type Filters, type Subject } from './address.ts';
import { ApiClient, type SearchPage, type SearchRequest } from './api/client.ts';
import { apiKey } from './api/key.ts';
import { Problem } from './api/problem.ts';
import { part } from './dom.ts';
import { Examples } from './home/examples.ts';
import { language, type LanguageCode } from './language/language.ts';
import { translatePage } from './language/translate-page.ts';
import { ProblemView } from './messages/problem-view.ts';
import { Navigation, type Place } from './navigation.ts';
import { Camera, isPhone } from './picture/camera.ts';
import { wholePicture } from './picture/crop.ts';
import { Stage, type ChosenPicture } from './picture/stage.ts';
import { watchDrop, watchPaste, watchPickers } from './picture/upload-sources.ts';
import { Detail } from './results/detail.ts';
import { ResultsView } from './results/results-view.ts';
import { SearchRun } from './results/search-run.ts';
import { Suggestions } from './suggestions.ts';

/** Files larger than this, in bytes, are rejected without decoding, which would stall a phone. */
const largestFile = 100_000_000;

/** Number of searches whose results are kept for going back. */
const keptRuns = 20;

translatePage();

const client = new ApiClient(apiBase());
const navigation = new Navigation(arrive);
const runs = new Map<string, SearchRun>();
/** First pages that were loaded before their search was created: those of camera frames. */
const answers = new WeakMap<Blob, SearchPage>();
/** For each uploaded picture its original and crop, so that the crop can be adjusted. */
const chosenPictures = new WeakMap<Blob, ChosenPicture>();

const finder = part('finder', HTMLElement);
const wordsField = part('words', HTMLInputElement);
const pickers = watchPickers((file) => void takePicture(file));
const stage = new Stage({ search: searchByPicture, pickOther: pickers.pick });
const camera = new Camera({
  photo: (photo) => void takePicture(photo),
  look: (frame, signal) => client.search(pictureRequest(frame), 0, signal),
  found: (frame, page) => {
    answers.set(frame, page);
    void searchByPicture(frame);
  },
  failed: tell,
  useOwn: pickers.photograph,
});
const examples = new Examples(client);
const detail = new Detail(client, () => {
  navigation.closeAlbum();
});
const results = new ResultsView(client, navigation.current.address.filters, {
  filter: (filters) => void searchFor(navigation.current.address.subject, filters),
  adjustCrop: () => void adjustCrop(),
  pickOther: pickers.pick,
  search: (subject) => void searchFor(subject),
});
const suggestions = new Suggestions(client, wordsField, (albumId) => {
  navigation.openAlbum(albumId);
});
let notice: ProblemView | undefined;
let albumsInAll: number | undefined;
let shownSearch: string | undefined;

watchDrop((file) => void takePicture(file));
watchPaste((file) => void takePicture(file));
wire();
show(navigation.current);
void describeService();
performance.mark('usable'); // docs/page.md reports this as the time to the first view

/** The API's URL: from `<meta name="api-base">`, else the page's own directory. */
function apiBase(): URL {
  const given = document.querySelector<HTMLMetaElement>('meta[name="api-base"]')?.content.trim();
  const base = new URL(given === undefined || given === '' ? '.' : given, document.baseURI);
  base.search = base.hash = '';
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return base;
}

function wire(): void {
  part('pick', HTMLElement).addEventListener('click', pickers.pick);
  const photograph = part('photograph', HTMLElement);
  photograph.addEventListener('click', () => {
    if (camera.hasLivePreview) void camera.open();
    else pickers.photograph();
  });
  if (isPhone()) preferCamera(photograph);
  part('describe', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    const query = wordsField.value.trim();
    const { subject } = navigation.current.address;
    suggestions.close();
    if (query)
      void searchFor({ kind: 'text', query, ...(subject.kind === 'text' && { by: subject.by }) });
    else wordsField.focus();
  });
  document.addEventListener('click', followLink);
  for (const button of document.querySelectorAll<HTMLButtonElement>('[data-language]'))
    button.addEventListener('click', () => {
      language.choose(button.dataset['language'] as LanguageCode);
    });
  part('api-link', HTMLAnchorElement).href = client.docsUrl();
  language.onChange(() => {
    translatePage();
    showLanguage();
    showCount();
  });
  showLanguage();
  apiKey.onChange(() => {
    for (const [key, run] of runs)
      if (run.problem && key !== navigation.current.searchKey) runs.delete(key);
    void describeService();
  });
}

/** On a phone the camera button comes first. */
function preferCamera(photograph: HTMLElement): void {
  part('sleeve-buttons', HTMLElement).prepend(photograph);
  photograph.classList.add('primary');
  part('pick', HTMLElement).classList.remove('primary');
}

/** Follows a plain click on a link within the page without a reload; other clicks are left to the browser. */
function followLink(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey);
  if (!link || !plain || event.defaultPrevented || link.target !== '') return;
  if (link.origin !== location.origin || link.pathname !== location.pathname) return;
  event.preventDefault();
  if (link.hash !== '') {
    document.querySelector<HTMLElement>(link.hash)?.focus(); // no history entry: those are for searches
    return;
  }
  const address = readLink(link.search);
  if (address.album !== null) navigation.openAlbum(address.album);
  else void navigation.search(address);
}

function searchFor(
  subject: Subject,
  filters: Filters = navigation.current.address.filters,
): Promise<void> {
  const picture = subject.kind === 'picture' ? navigation.current.picture : null;
  return navigation.search({ subject, filters, album: null }, picture);
}

/** Handles an incoming picture; `null` if the drop or paste contained none. */
async function takePicture(file: Blob | null): Promise<void> {
  clearNotice();
  if (!file) tell(new Problem('nothing_to_read'));
  else if (file.size === 0) tell(new Problem('empty_file'));
  else if (file.size > largestFile) tell(new Problem('picture_too_large'));
  else if (!(await stage.show({ original: file, crop: wholePicture }))) await sendUnread(file);
}

/** Uploads a picture that this browser can't decode: the API may be able to, or explains best why not. */
async function sendUnread(file: Blob): Promise<void> {
  stage.close();
  const name = file instanceof File ? file.name : '';
  const isPicture = file.type.startsWith('image/') || /\.(heic|heif|avif|tiff?|jxl)$/i.test(name);
  if (isPicture) await searchByPicture(file);
  else tell(new Problem('not_a_picture'));
}

const pictureRequest = (picture: Blob): SearchRequest => ({
  subject: { kind: 'picture' },
  filters: navigation.current.address.filters,
  picture,
});

async function searchByPicture(picture: Blob, chosen?: ChosenPicture): Promise<void> {
  if (chosen) chosenPictures.set(picture, chosen);
  const { filters } = navigation.current.address;
  await navigation.search({ subject: { kind: 'picture' }, filters, album: null }, picture);
}

async function adjustCrop(): Promise<void> {
  const { picture } = navigation.current;
  if (!picture) return;
  const whole = { original: picture, crop: wholePicture }; // after a reload the original is lost
  await stage.show(chosenPictures.get(picture) ?? whole);
}

/** Called for every place except the initial one. */
function arrive(place: Place, how: 'moved' | 'history', from: Place): void {
  clearNotice();
  stage.close();
  camera.close();
  suggestions.close();
  show(place);
  if (how === 'history' || place.searchKey === from.searchKey || isNarrowed(place, from)) return;
  window.scrollTo(0, 0);
  if (place.address.subject.kind === 'nothing') wordsField.focus({ preventScroll: true });
  else results.focus();
}

/** Whether only the filters changed, or what the text is compared with: then the scroll position and focus stay. */
function isNarrowed(place: Place, from: Place): boolean {
  const choices = ({ address: { subject, filters } }: Place) =>
    JSON.stringify([filters, subject.kind === 'text' ? subject.by : undefined]);
  const rest = ({ address: { subject } }: Place) =>
    JSON.stringify(subject.kind === 'text' ? subject.query : subject);
  return (
    place.picture === from.picture && rest(place) === rest(from) && choices(place) !== choices(from)
  );
}

function show(place: Place): void {
  const { address } = place;
  const { subject } = address;
  const searching = subject.kind !== 'nothing';
  document.body.dataset['view'] = searching ? 'results' : 'home';
  finder.dataset['size'] = searching ? 'small' : 'large';
  // Opening an album, from a suggestion for example, leaves the text.
  if (place.searchKey !== shownSearch)
    wordsField.value = subject.kind === 'text' ? subject.query : '';
  shownSearch = place.searchKey;
  for (const [key, run] of runs) if (key !== place.searchKey) run.leave();
  if (searching) results.show(runOf(place, subject), address);
  else {
    results.hide();
    document.title = language.words.name;
  }
  void detail.show(address);
}

/** The search of a place: the kept one, or a new one. */
function runOf({ searchKey, address, picture }: Place, subject: SearchRun['request']['subject']) {
  const known = runs.get(searchKey);
  if (known && !known.left) return known;
  const found = picture ? answers.get(picture) : undefined;
  if (picture) answers.delete(picture); // it is valid only for these filters
  const run = new SearchRun(client, { subject, filters: address.filters, picture }, found);
  runs.set(searchKey, run);
  const [oldest] = runs.keys();
  if (runs.size > keptRuns && oldest !== undefined) runs.delete(oldest);
  return run;
}

/** Shows a problem that is not the result of a search. */
function tell(problem: Problem): void {
  clearNotice();
  stage.close();
  notice = new ProblemView(problem, { pickOther: pickers.pick, dismiss: clearNotice });
  part('notice', HTMLElement).replaceChildren(notice.element);
  notice.element.scrollIntoView({ block: 'nearest' });
}

function clearNotice(): void {
  notice?.remove();
  notice = undefined;
}

/** Shows whether this is the starter set, the number of albums, and some example covers. */
async function describeService(): Promise<void> {
  const [health, albums] = await Promise.all([
    client.health().catch(() => undefined),
    client.totalAlbums().catch(() => undefined),
  ]); // the page works without them
  const starterSet = health?.starter_set === true;
  camera.looksByItself = health?.identification === true;
  part('starter-note', HTMLElement).hidden = !starterSet;
  albumsInAll = albums;
  showCount();
  await examples.load(starterSet);
}

function showCount(): void {
  if (albumsInAll === undefined) return;
  const { albums } = language.words.examples;
  part('albums-in-all', HTMLElement).textContent = albums(language.number(albumsInAll));
}

function showLanguage(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>('[data-language]'))
    button.ariaPressed = String(button.dataset['language'] === language.code);
}
